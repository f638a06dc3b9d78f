//! How the agent ends, and what it leaves on the node.
//!
//! The programs stay, so that pods never reach the real service because an agent ends, unless there is to be none any
//! more: then whoever is the last of the node's agents takes everything away, however far it has come itself.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use tokio::time;

use crate::{
    kubernetes::daemon_set::Fate,
    redirect::{Sole, StandingBy, pins},
};

use super::{Agent, Told, cluster::Cluster, kernel::Kernel, turn::Turn};

/// How long an agent goes on serving after another one has taken over: connects that were sent to it are still on their
/// way, and a mesh's sidecar may come to it a little later.
const LINGER: Duration = Duration::from_secs(2);
/// How often an agent that was displaced looks whether its successor lives.
const GLANCE: Duration = Duration::from_secs(1);
/// How long other agents are waited for that end at the same time. A kubelet gives us 30 s.
const OTHERS: Duration = Duration::from_secs(10);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(50);

/// What is said when nothing is taken away.
const STAY: &str = "the programs stay: connects to the metadata address fail until the next agent starts; `bpf2iam uninstall` \
                    removes them";

/// The end that was wanted. Where the programs go, they go first: what connects from then on gets the real service, not a
/// closed door.
pub(super) async fn finish(
    mut kernel: Kernel,
    mut agent: Agent,
    cluster: &Cluster,
    told: Told,
) -> anyhow::Result<()> {
    if kernel.turn.is_displaced() {
        // Connects that were sent to us are still on their way.
        time::sleep(LINGER).await;
    }
    let served = kernel.turn.has_served();
    let cleared = match fate(told, served, cluster).await {
        Fate::Goes(why) => {
            agent.end_trial().await;
            kernel.turn.retire();
            clear(kernel.turn.pins().root(), why, patience(told)).await
        }
        Fate::Stays | Fate::Unknown => {
            if served {
                tracing::info!("{STAY}");
                // Our doors close now. An agent that waits for us opens its own while we finish what was begun.
                kernel.turn.retire();
            }
            Ok(())
        }
    };
    agent.stop().await;
    cleared
}

/// Told to end by `told` without having served, or no longer: another agent does, or none.
pub(super) async fn leave(pin_dir: &Path, cluster: &Cluster, told: Told) -> anyhow::Result<()> {
    match fate(told, false, cluster).await {
        Fate::Goes(why) => clear(pin_dir, why, patience(told)).await,
        Fate::Stays | Fate::Unknown => Ok(()),
    }
}

/// Another agent serves. Finishes what was begun.
pub(super) async fn retire(kernel: &mut Kernel, mut agent: Agent) {
    tokio::select! {
        () = time::sleep(LINGER) => {}
        error = agent.died() => tracing::warn!("{error:#}"),
    }
    agent.stop().await;
    kernel.turn.retire();
}

/// From now on nobody takes away what is pinned.
pub(super) fn announce(here: &mut StandingBy, turn: &Turn) {
    if let Err(error) = here.announce(turn.pins().root()) {
        tracing::debug!("{:#}", anyhow::Error::from(error));
    }
}

/// Waits to be ended by whoever started the other agent. If that one is gone for good, says so: then we are started anew. It
/// may belong to another DaemonSet, whose end is not ours: so as long as we are here, nobody takes away what is pinned.
pub(super) async fn stand_by(turn: &Turn, mut here: StandingBy) -> anyhow::Error {
    let mut gone = Duration::ZERO;
    // Whoever leaves the node looks for as long as OTHERS whether we are still here.
    while gone < turn.grace().max(OTHERS + LINGER) {
        announce(&mut here, turn);
        time::sleep(GLANCE).await;
        gone = if turn.is_served() {
            Duration::ZERO
        } else {
            gone + GLANCE
        };
    }
    anyhow!("no agent serves this node any more")
}

/// What is to become of the node.
async fn fate(told: Told, served: bool, cluster: &Cluster) -> Fate {
    match told {
        Told::Terminate => cluster.fate().await,
        Told::Interrupt if served => Fate::Goes("somebody at a terminal ended the agent"),
        // What is attached, if anything is, is another agent's.
        Told::Interrupt => Fate::Unknown,
    }
}

/// Other agents end at the same time where there are to be none. At a terminal there is no reason to think so.
const fn patience(told: Told) -> Duration {
    match told {
        Told::Terminate => OTHERS,
        Told::Interrupt => Duration::ZERO,
    }
}

/// Takes away everything that is pinned below `pin_dir`: from then on pods reach the real service. Not what belongs to
/// another agent, that starts or serves; within `patience` it may end.
async fn clear(pin_dir: &Path, why: &'static str, patience: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + patience;
    loop {
        if !pin_dir.exists() {
            return Ok(());
        }
        let sole = Sole::try_be(pin_dir)?;
        if sole.is_ok() {
            let was_there = !pins::versions(pin_dir)?.is_empty();
            pins::remove(pin_dir)?;
            if was_there {
                tracing::info!(
                    why,
                    "the programs are gone: pods reach the real metadata service"
                );
            }
            return Ok(());
        }
        if let Err(busy) = sole
            && Instant::now() >= deadline
        {
            tracing::info!(why, %busy, "the programs are another agent's, and stay");
            return Ok(());
        }
        time::sleep(LOOK).await;
    }
}
