//! What the programs cost a connect that has nothing to do with them.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    thread,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, addresses::NODE_V4, client::Latency, pod::Spec, stage::Stage};

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

/// Accepts and hangs up, in the node's network, until this program ends.
fn listen(stage: &Stage) -> Result<()> {
    let listener = stage.node().netns().run(|| TcpListener::bind(SOMEBODY))?;
    let listener = listener.with_context(|| SOMEBODY.to_string())?;
    thread::spawn(move || listener.incoming().for_each(drop));
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
