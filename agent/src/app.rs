//! The only place where the parts are put together.
//!
//! In this order: everything that can fail for good is tried first (the kernel side is loaded, doors are opened, pods
//! and keys are found); then the pods' cgroup is waited for; then connections are served; only then the programs are
//! attached, and the agent is ready. At the end the programs go first, then what is under way is finished.

mod agent;
mod api;
mod instance;
mod kernel;
mod listen;
mod parts;
mod pods;
mod policy;
mod report;

use std::{path::PathBuf, pin::pin};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{clock::Clock, config::Config, creds::sts::Sts};

use kernel::Kernel;

pub use agent::{Agent, Bound};
pub use listen::Error as ListenError;
pub use report::Attachment;

/// Runs the agent until it is told to end by SIGTERM or SIGINT, or until a part of it dies.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut end = pin!(told_to_end()?);
    allow_many_files();
    let (mut kernel, counters) = Kernel::prepare(&config)?;
    let (config, source) = tokio::select! {
        found = find_out(config) => found?,
        signal = &mut end => {
            say_ending(signal);
            return Ok(());
        }
    };
    let mut agent = tokio::select! {
        // A plugin that proves who we are to the API server may take its time.
        opened = Agent::open(&config, source, Some(counters)) => opened?,
        signal = &mut end => {
            say_ending(signal);
            return Ok(());
        }
    };
    kernel.point_at(agent.bound())?;
    let ended = tokio::select! {
        error = live(&mut kernel, &mut agent) => Err(error),
        signal = &mut end => {
            say_ending(signal);
            Ok(())
        }
    };
    kernel.detach();
    agent.stop().await;
    ended
}

/// What the node itself has to say: who it is, and with which keys it calls STS.
async fn find_out(config: Config) -> anyhow::Result<(Config, Sts)> {
    let config = policy::discover(config).await?;
    Ok((config, Sts::from_env(Clock::system()).await?))
}

fn say_ending(signal: &'static str) {
    tracing::info!(signal, "ending");
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

fn told_to_end() -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Serves the pods, from when there are any. Ends only with what it died of.
async fn live(kernel: &mut Kernel, agent: &mut Agent) -> anyhow::Error {
    let kubepods = tokio::select! {
        found = kernel.wait_for_pods() => found,
        error = agent.died() => return error,
    };
    match kubepods.and_then(|kubepods| start(kernel, agent, kubepods)) {
        Ok(()) => agent.died().await,
        Err(error) => error,
    }
}

fn start(kernel: &mut Kernel, agent: &mut Agent, kubepods: PathBuf) -> anyhow::Result<()> {
    let (attest, search) = kernel.attest(kubepods.clone())?;
    agent.spawn("the search for records", search);
    agent.serve(attest);
    agent.spawn("the programs' log", kernel.logs(agent.drain())?);
    // First noted which cgroup it is: if it is made anew before we are attached, that is noticed.
    let watch = kernel::watch(kubepods.clone(), agent.drain())?;
    kernel.attach(&kubepods)?;
    agent.spawn("the pods' cgroup", watch);
    agent.ready(Attachment::new(kubepods, kernel.attached()));
    Ok(())
}
