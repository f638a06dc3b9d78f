//! What the programs cost a connect that has nothing to do with them.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    thread,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, addresses::NODE_V4, client::Latency, pod::Spec, stage::Stage};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::say;

use super::{
    Args,
    agent::Agent,
    figure::{Figure, Series, Wanted},
};

/// Somebody whom a pod talks to: no metadata service, and not the agent.
const SOMEBODY: SocketAddr = SocketAddr::new(IpAddr::V4(NODE_V4), 8282);

/// A turn without the programs, and one with them.
#[derive(Clone, Copy, Debug)]
struct Round {
    without: Latency,
    with: Latency,
}

/// Connects from a pod in turns, while the agent runs and while there is none.
pub(super) fn measure(stage: &Stage, args: &Args) -> Result<[Figure; 2]> {
    say::step(format!(
        "an unrelated connect: {} rounds of {} s without the programs and with them",
        args.rounds, args.seconds
    ));
    let pod = stage.add_pod(Spec::new("shop", "stranger"))?;
    listen(stage)?;
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        let without = connects(stage, &pod, args)?;
        let agent = Agent::start(stage, &["--log-level", &args.log_level])?;
        let with = connects(stage, &pod, args)?;
        agent.stop()?;
        say::note(format!("without {without} | with {with}"));
        rounds.push(Round { without, with });
    }
    Ok(figures(&rounds))
}

/// Accepts and hangs up, in the node's network, until this program ends. It does so on the last CPU, for whoever
/// connects is on the first: were they together, a connect would sometimes wait for an accept.
fn listen(stage: &Stage) -> Result<()> {
    let listener = stage.node().netns().run(|| TcpListener::bind(SOMEBODY))?;
    let listener = listener.with_context(|| SOMEBODY.to_string())?;
    let allowed = sched_getaffinity(None)?;
    let mut last = CpuSet::new();
    if let Some(cpu) = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu)) {
        last.set(cpu);
    }
    thread::spawn(move || {
        // Where it cannot be pinned the figure is a little less steady, that is all.
        let _pinned = sched_setaffinity(None, &last).is_ok();
        listener.incoming().for_each(drop);
    });
    Ok(())
}

fn connects(stage: &Stage, pod: &Pod, args: &Args) -> Result<Latency> {
    let (target, seconds) = (SOMEBODY.to_string(), args.seconds.to_string());
    let tally = stage.client().tally(
        &pod.place(),
        &["connect-bench", "--target", &target, "--seconds", &seconds],
    )?;
    let clean = tally.total() == tally.ok;
    let latency = tally.connect.filter(|_| clean);
    latency.with_context(|| format!("{tally:?}"))
}

fn figures(rounds: &[Round]) -> [Figure; 2] {
    let best = |of: fn(&Round) -> u32| Series::new(rounds.iter().map(of).map(microseconds));
    let (without, with) = (
        best(|round| round.without.min),
        best(|round| round.with.min),
    );
    let usual = Series::new(
        rounds
            .iter()
            .map(|round| microseconds(round.with.p50) - microseconds(round.without.p50)),
    );
    [
        Figure {
            name: "unrelated connect: what the programs add to the fastest",
            value: with.min() - without.min(),
            unit: " us",
            wanted: Wanted::AtMost(1.0),
            detail: format!("{:.2} us with, {:.2} us without", with.min(), without.min()),
        },
        Figure {
            name: "unrelated connect: what the programs add to the median",
            value: usual.median(),
            unit: " us",
            wanted: Wanted::AtMost(1.0),
            detail: format!("rounds {}", usual.range()),
        },
    ]
}

fn microseconds(nanoseconds: u32) -> f64 {
    f64::from(nanoseconds) / 1000.0
}
