//! The only place where the parts are put together.
//!
//! In this order: everything that can fail for good is tried first (the API server is found, doors are opened, the kernel side
//! is loaded); then the pods' cgroup is waited for, and while an agent before us serves, pods and keys; then connections are
//! served; only then the programs are attached, or ours put in the place of those that are, and the agent is ready. Where
//! programs are attached for which nobody answers, connects are sent to our doors as soon as these are open. What stays at
//! the end is the business of `end`.

mod agent;
mod api;
mod cluster;
mod doors;
mod end;
mod established;
mod instance;
mod keeper;
mod kernel;
mod listen;
mod load;
mod own;
mod parts;
mod pods;
mod policy;
mod renewal;
mod report;
mod succession;
mod token_key;
mod turn;

use std::{
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cgroup,
    clock::Clock,
    config::Config,
    control::Standing,
    creds::sts::Sts,
    doctor,
    imds::token::KeyStore as _,
    redirect::{StandingBy, preflight},
    trial::Trial,
};

use keeper::{Displaced, Keeper};
use kernel::Kernel;
use turn::Turn;

pub use agent::Agent;
pub use cluster::Cluster;
pub use doors::{Bound, Doors};
pub use listen::Error as ListenError;
pub use report::Attachment;

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
    preflight::check()?;
    let pin_dir = config.lifetime.pin_dir.clone();
    let cluster = tokio::select! {
        cluster = Cluster::connect(&config) => cluster?,
        told = &mut end => {
            told.say();
            return Ok(());
        }
    };
    let begun = async {
        tokio::select! {
            begun = begin(config, &cluster) => begun.map(Ok),
            told = &mut end => Ok(Err(told)),
        }
    };
    let begun = Box::pin(cluster.watch_during(begun)); // the SDK makes it large
    let (mut kernel, mut agent) = match begun.await? {
        Ok(begun) => begun,
        Err(told) => {
            told.say();
            return end::leave(&pin_dir, &cluster, told).await;
        }
    };
    let ended = tokio::select! {
        ended = live(&mut kernel, &mut agent) => ended,
        told = &mut end => Ended::Told(told),
    };
    match ended {
        Ended::Told(told) => {
            told.say();
            end::finish(kernel, agent, &cluster, told).await
        }
        Ended::Displaced => {
            tracing::info!("another agent has taken over; serving what is under way");
            let stood_by = async {
                let mut here = StandingBy::default();
                end::announce(&mut here, &kernel.turn);
                end::retire(&mut kernel, agent).await;
                tokio::select! {
                    gone = end::stand_by(&kernel.turn, here) => Err(gone),
                    told = &mut end => Ok(told),
                }
            };
            let told = Box::pin(cluster.watch_during(stood_by)).await?;
            told.say();
            end::leave(&pin_dir, &cluster, told).await
        }
        Ended::Died(error) => {
            agent.stop().await;
            Err(error)
        }
    }
}

/// Everything that can fail for good, and opens the doors.
async fn begin(config: Config, cluster: &Cluster) -> anyhow::Result<(Kernel, Agent)> {
    let mount = cgroup::open_root(&config.cgroup_root)?;
    let mut turn = Turn::wait(&config.lifetime).await?;
    warn_of_pins(&config.lifetime.pin_dir);
    let doors = Doors::open(&config, turn.standing()).await?;
    let bound = doors.bound().context("cannot tell where we listen")?;
    if let Err(error) = turn.step_in(&bound) {
        // What is wrong with what is pinned is said when it is loaded.
        tracing::debug!("not stepping in yet: {error:#}");
    }
    let (mut kernel, mut parts) = Kernel::load(&config, turn, mount)?;
    let found = Box::pin(find_out(config)); // here too
    let (config, source) = meanwhile(&mut kernel, &bound, found).await??;
    let key = parts.token_key.key()?;
    let agent = Agent::open(&config, cluster, doors, source, &key, Some(parts.view))?;
    Ok((kernel, agent))
}

/// What is pinned is to outlive the agent: on a file system of its container's own it does not.
fn warn_of_pins(pin_dir: &Path) {
    if let Some(found) = doctor::pins_may_not_last(pin_dir) {
        let (what, fix) = (found.what, found.fix);
        tracing::warn!(
            what,
            fix,
            "what is pinned may not outlive the agent's container"
        );
    }
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
    let (bound, prepared) = (agent.bound().clone(), agent.prepared());
    let ready = ready_to_serve(kernel, &bound, prepared);
    let kubepods = tokio::select! {
        kubepods = ready => kubepods?,
        error = agent.died() => return Err(error),
    };
    let _attaching = kernel.begin_attach().await?;
    put_in_place(kernel, agent, kubepods)
}

/// Waits for the pods' cgroup; and, as long as an agent before us lives, until we are `prepared` to take over.
async fn ready_to_serve(
    kernel: &mut Kernel,
    bound: &Bound,
    prepared: impl Future<Output = ()>,
) -> anyhow::Result<PathBuf> {
    let kubepods = kernel.pods();
    let kubepods = meanwhile(kernel, bound, kubepods).await??;
    if kernel.turn.standing() == Standing::Successor {
        tokio::select! {
            () = prepared => {}
            () = kernel.turn.vacancy() => kernel.turn.step_in(bound)?,
        }
    }
    Ok(kubepods)
}

fn put_in_place<'a>(
    kernel: &'a mut Kernel,
    agent: &mut Agent,
    kubepods: PathBuf,
) -> anyhow::Result<Keeper<'a>> {
    let (attest, search) = kernel.attest(kubepods.clone())?;
    let trial = Trial::new(
        kernel.ground(&kubepods),
        attest.own(),
        &agent.bound().listeners,
    );
    agent.spawn("the search for records", search);
    agent.serve(attest);
    agent.spawn("the programs' log", kernel.logs(agent.drain())?);
    let attached = match kernel.turn.standing() {
        // Nobody is to be refused meanwhile.
        Standing::Alone => {
            kernel.turn.reign(agent.bound())?;
            kernel.attach(&kubepods)?
        }
        // Until all of ours is in place, the one before us serves.
        Standing::Successor => {
            let attached = kernel.attach(&kubepods)?;
            kernel.turn.reign(agent.bound())?;
            attached
        }
    };
    kernel.supersede()?;
    let own = kernel.own_pod(&kubepods);
    agent.keep_exempt(kernel.exempt()?, kubepods.clone(), own);
    agent.try_out(trial);
    let attachment = agent.ready(Attachment::new(kubepods.clone(), &attached));
    Ok(Keeper::new(kernel, kubepods, attachment, agent.readiness()))
}
