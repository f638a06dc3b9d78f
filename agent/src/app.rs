//! The only place where the parts are put together.
//!
//! In this order: everything that can fail for good is tried first (the kernel side is loaded, doors are opened, pods
//! and keys are found); then the pods' cgroup is waited for; then connections are served; only then the programs are
//! attached, or ours put in the place of those that an agent before us has left, and the agent is ready. At the end the
//! programs stay, and what is under way is finished.

mod agent;
mod api;
mod doors;
mod established;
mod instance;
mod keeper;
mod kernel;
mod listen;
mod load;
mod parts;
mod pods;
mod policy;
mod renewal;
mod report;
mod token_key;
mod turn;

use std::{path::PathBuf, pin::pin, time::Duration};

use anyhow::{Context as _, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    time,
};

use crate::{
    cgroup, clock::Clock, config::Config, control::Standing, creds::sts::Sts,
    imds::token::KeyStore as _, kubernetes::daemon_set::Fate, redirect::preflight, trial::Trial,
};

use keeper::{Displaced, Keeper};
use kernel::Kernel;
use turn::Turn;

pub use agent::Agent;
pub use doors::{Bound, Doors};
pub use listen::Error as ListenError;
pub use report::Attachment;

/// How long an agent goes on serving after another one has taken over: connects that were sent to it are still on their
/// way, and a mesh's sidecar may come to it a little later.
const LINGER: Duration = Duration::from_secs(2);
/// How long a successor waits for the keys of the pods that run, before it takes over without them.
const WARM: Duration = Duration::from_secs(10);
/// How often an agent that was displaced looks whether its successor lives.
const GLANCE: Duration = Duration::from_secs(1);

/// How the agent came to its end.
enum Ended {
    /// By a signal.
    Told(Told),
    /// Another one serves now.
    Displaced,
    /// A part of it died.
    Died(anyhow::Error),
}

/// Which signal it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// SIGTERM: from a kubelet or a service manager, who may start the next agent at once.
    Terminate,
    /// SIGINT: from somebody at a terminal.
    Interrupt,
}

/// Runs the agent until it is told to end by SIGTERM or SIGINT, or until a part of it dies. The programs stay, for the
/// next agent, unless somebody at a terminal ends it or its DaemonSet has no place for it any more.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut end = pin!(told_to_end()?);
    allow_many_files();
    let (mut kernel, mut agent) = tokio::select! {
        begun = begin(config) => begun?,
        told = &mut end => {
            told.say();
            return Ok(());
        }
    };
    let ended = tokio::select! {
        ended = live(&mut kernel, &mut agent) => ended,
        told = &mut end => Ended::Told(told),
    };
    match ended {
        Ended::Told(told) => {
            told.say();
            finish(kernel, agent, told).await
        }
        Ended::Displaced => {
            tracing::info!("another agent has taken over; serving what is under way");
            retire(&mut kernel, agent).await;
            tokio::select! {
                gone = stand_by(&kernel) => Err(gone),
                told = &mut end => {
                    told.say();
                    Ok(())
                }
            }
        }
        Ended::Died(error) => {
            agent.stop().await;
            Err(error)
        }
    }
}

/// Everything that can fail for good, and opens the doors.
async fn begin(config: Config) -> anyhow::Result<(Kernel, Agent)> {
    preflight::check()?;
    let mount = cgroup::open_root(&config.cgroup_root)?;
    let mut turn = Turn::wait(&config.lifetime).await?;
    let doors = Doors::open(&config, turn.standing()).await?;
    let bound = doors.bound().context("cannot tell where we listen")?;
    if let Err(error) = turn.step_in(&bound) {
        // What is wrong with what is pinned is said when it is loaded.
        tracing::debug!("not stepping in yet: {error:#}");
    }
    let (mut kernel, mut parts) = Kernel::load(&config, turn, mount)?;
    let (config, source) = {
        let found = Box::pin(find_out(config)); // the SDK makes it large
        meanwhile(&mut kernel, &bound, found).await??
    };
    let key = parts.token_key.key()?;
    let agent = Agent::open(&config, doors, source, &key, Some(parts.view)).await?;
    Ok((kernel, agent))
}

/// Does `work`. Where programs are attached already and nobody answers for them, or no longer, connects are sent to us at
/// once.
async fn meanwhile<T>(
    kernel: &mut Kernel,
    bound: &Bound,
    work: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        () = kernel.turn.vacancy() => kernel.turn.step_in(bound)?,
        done = &mut work => return Ok(done),
    }
    Ok(work.await)
}

/// The end that was wanted. Where the programs go, they go first: what connects from then on gets the real service, not a
/// closed door.
async fn finish(kernel: Kernel, agent: Agent, told: Told) -> anyhow::Result<()> {
    if kernel.turn.is_displaced() {
        // Connects that were sent to us are still on their way.
        time::sleep(LINGER).await;
    }
    if !kernel.turn.has_served() {
        // What is attached, if anything is, is another agent's.
        agent.stop().await;
        return Ok(());
    }
    let fate = match told {
        Told::Terminate => agent.fate().await,
        Told::Interrupt => Fate::Goes("somebody at a terminal ended the agent"),
    };
    match fate {
        Fate::Goes(why) if kernel.remove()? => {
            tracing::info!(
                why,
                "the programs are gone: pods reach the real metadata service"
            );
        }
        Fate::Goes(_) => tracing::info!("the programs are another agent's, and stay"),
        Fate::Stays | Fate::Unknown => tracing::info!(
            "the programs stay: connects to the metadata address fail until the next agent starts; `bpf2iam uninstall` \
             removes them"
        ),
    }
    agent.stop().await;
    Ok(())
}

/// Another agent serves. Finishes what was begun.
async fn retire(kernel: &mut Kernel, mut agent: Agent) {
    tokio::select! {
        () = time::sleep(LINGER) => {}
        error = agent.died() => tracing::warn!("{error:#}"),
    }
    agent.stop().await;
    kernel.turn.retire();
}

/// Waits to be ended by whoever started the other agent. If that one is gone for good, says so: then we are started anew.
async fn stand_by(kernel: &Kernel) -> anyhow::Error {
    let mut gone = Duration::ZERO;
    while gone < kernel.turn.grace() {
        time::sleep(GLANCE).await;
        gone = if kernel.turn.is_served() {
            Duration::ZERO
        } else {
            gone + GLANCE
        };
    }
    anyhow!("no agent serves this node any more")
}

/// What the node itself has to say: who it is, and with which keys it calls STS.
async fn find_out(config: Config) -> anyhow::Result<(Config, Sts)> {
    let config = policy::discover(config).await?;
    Ok((config, Sts::from_env(Clock::system()).await?))
}

impl Told {
    fn say(self) {
        let signal = match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        };
        tracing::info!(signal, "ending");
    }
}

/// Each connection is a file, and the soft limit is low for the sake of programs that use select(2). We do not.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

fn told_to_end() -> anyhow::Result<impl Future<Output = Told>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Told::Terminate,
            _ = interrupt.recv() => Told::Interrupt,
        }
    })
}

/// Serves the pods, from when there are any. Says why it ended.
async fn live(kernel: &mut Kernel, agent: &mut Agent) -> Ended {
    let keeper = match start(kernel, agent).await {
        Ok(keeper) => keeper,
        Err(error) => return Ended::Died(error),
    };
    tokio::select! {
        kept = keeper.run() => kept.map_or_else(Ended::Died, |Displaced| Ended::Displaced),
        error = agent.died() => Ended::Died(error),
    }
}

async fn start<'a>(kernel: &'a mut Kernel, agent: &mut Agent) -> anyhow::Result<Keeper<'a>> {
    let kubepods = kernel.pods();
    let kubepods = meanwhile(kernel, agent.bound(), kubepods).await??;
    if kernel.turn.standing() == Standing::Successor {
        // As long as the one before us serves.
        tokio::select! {
            () = agent.warm(WARM) => {}
            () = kernel.turn.vacancy() => kernel.turn.step_in(agent.bound())?,
        }
    }
    let _attaching = kernel.begin_attach().await?;
    put_in_place(kernel, agent, kubepods)
}

fn put_in_place<'a>(
    kernel: &'a mut Kernel,
    agent: &mut Agent,
    kubepods: PathBuf,
) -> anyhow::Result<Keeper<'a>> {
    let (attest, search) = kernel.attest(kubepods.clone())?;
    let trial = Trial::new(kubepods.clone(), attest.own(), &agent.bound().listeners);
    agent.spawn("the search for records", search);
    agent.serve(attest);
    agent.spawn("the programs' log", kernel.logs(agent.drain())?);
    let attached = match kernel.turn.standing() {
        // Nobody is to be refused meanwhile.
        Standing::Alone => {
            kernel.turn.switch(agent.bound())?;
            kernel.attach(&kubepods)?
        }
        // Until all of ours is in place, the one before us serves.
        Standing::Successor => {
            let attached = kernel.attach(&kubepods)?;
            kernel.turn.switch(agent.bound())?;
            attached
        }
    };
    kernel.supersede()?;
    agent.try_out(trial);
    let attachment = agent.ready(Attachment::new(kubepods.clone(), &attached));
    Ok(Keeper::new(kernel, kubepods, attachment))
}
