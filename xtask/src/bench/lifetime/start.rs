//! How soon an agent is ready, and how long the links take to change hands.

use anyhow::{Context as _, Result};
use bpf2iam_support::{moment::Moment, siege::Running, stage::Stage};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    bench::{
        agent::Agent,
        figure::{Figure, Series, Wanted},
        memory,
    },
    say,
};

use super::milliseconds;

/// Pods of a node, by the kubelet's default.
const PODS: usize = 110;
/// What STS takes for an answer.
const LATENCY: &str = "80ms";
/// How often each is measured.
const ROUNDS: u32 = 5;
/// What an agent says whose programs are attached.
const SWITCHED: &str = "the links run our programs";

/// On a node with as many pods as there may be.
pub(super) fn measure(stage: &Stage) -> Result<[Figure; 3]> {
    say::step(format!("{ROUNDS} takeovers without clients"));
    let switch = switches(stage)?;
    say::step(format!("starts with {PODS} pods, STS takes {LATENCY}"));
    memory::add_pods(stage, PODS)?;
    stage.set_sts_rules(&json!([{"do": {"latency": LATENCY}}]))?;
    let (alone, successor) = (alone(stage, ROUNDS)?, successors(stage)?);
    stage.set_sts_rules(&json!([]))?;
    Ok([
        ready("110 pods: from the start until an agent is ready", &alone),
        ready(
            "110 pods: from the start until a successor is ready, with all keys",
            &successor,
        ),
        Figure {
            name: "switch of all links",
            value: switch.max(),
            unit: " ms",
            wanted: Wanted::AtMost(50.0),
            detail: format!("median {:.1} ms", switch.median()),
        },
    ])
}

fn ready(name: &'static str, took: &Series) -> Figure {
    Figure {
        name,
        value: took.max(),
        unit: " ms",
        wanted: Wanted::AtMost(2000.0),
        detail: format!("median {:.0} ms; STS takes {LATENCY} a call", took.median()),
    }
}

/// What a start takes at most times, in milliseconds, on a node where nobody asks.
pub(super) fn idle(stage: &Stage) -> Result<f64> {
    Ok(alone(stage, ROUNDS)?.median())
}

/// Starts an agent where there is none, again and again.
fn alone(stage: &Stage, rounds: u32) -> Result<Series> {
    let round = |_| {
        let (agent, took) = started(stage)?;
        agent.end(Signal::INT)?;
        Ok(took)
    };
    let all: Result<Vec<_>> = (0..rounds).map(round).collect();
    Ok(Series::new(all?))
}

/// Starts an agent beside another one, again and again.
fn successors(stage: &Stage) -> Result<Series> {
    let (mut agent, _) = started(stage)?;
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let (next, took) = started(stage)?;
        agent.end(Signal::TERM)?;
        agent = next;
        all.push(took);
    }
    agent.end(Signal::INT)?;
    Ok(Series::new(all))
}

fn started(stage: &Stage) -> Result<(Running, f64)> {
    let agent = Running::start(stage, &[])?;
    let took = milliseconds(Moment::now(), agent.started());
    Ok((agent, took))
}

/// How long it took, by the successors' own logs.
fn switches(stage: &Stage) -> Result<Series> {
    let mut agent = Agent::start(stage, &[])?;
    let mut all = Vec::new();
    for _ in 0..ROUNDS {
        let next = Agent::start(stage, &[])?;
        let said = next.all_logged(SWITCHED)?;
        let seconds = said.first().and_then(|record| record["seconds"].as_f64());
        all.push(seconds.context("no record of the switch")? * 1000.0);
        agent.stop()?;
        agent = next;
    }
    agent.stop()?;
    Ok(Series::new(all))
}
