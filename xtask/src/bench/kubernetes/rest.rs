//! An agent that knows its node and is left alone: what it holds, and what it asks.

use std::thread;

use anyhow::{Context as _, Result};

use crate::{
    bench::{
        agent::Agent,
        cluster::{Cluster, Request},
        figure::{Figure, Wanted},
        memory::Memory,
    },
    say,
};

use super::{Args, settle};

/// Looks at the agent after its start, and once more when it was left alone.
pub(super) fn measure(
    agent: &mut Agent,
    cluster: &mut Cluster,
    args: &Args,
) -> Result<[Figure; 4]> {
    let wanted = cluster
        .roles()?
        .values()
        .filter(|role| !role.is_empty())
        .count();
    agent.wait_until("done fetching credentials", |agent| {
        let status = agent.status()?;
        let pods = status["pods"].as_array().context("no pods in the status")?;
        let ready = pods.iter().filter(|pod| pod["state"] == "ready");
        Ok((ready.count() >= wanted).then_some(()))
    })?;
    cluster.start_pods()?;
    settle();
    let start = cluster.requests()?;
    cluster.forget_requests()?;
    say::step(format!(
        "a large cluster: the agent is left alone for {:?}",
        args.minute()
    ));
    thread::sleep(args.minute());
    let (rest, memory) = (cluster.requests()?, Memory::of(agent.pid())?);
    say::note(format!("{wanted} pods; {memory}"));
    Ok([
        at_start(&start),
        at_rest(&rest),
        Figure {
            name: "large cluster: memory after the sync",
            value: memory.resident,
            unit: " MiB",
            wanted: Wanted::AtMost(24.0),
            detail: memory.to_string(),
        },
        Figure {
            name: "large cluster: memory at most",
            value: memory.peak,
            unit: " MiB",
            wanted: Wanted::AtMost(48.0),
            detail: memory.to_string(),
        },
    ])
}

fn at_start(requests: &[Request]) -> Figure {
    let (tokens, others): (Vec<&Request>, Vec<_>) = requests
        .iter()
        .partition(|request| request.is_for_a_token());
    Figure {
        name: "requests to the API server at the start, besides tokens",
        value: count(others.len()),
        unit: "",
        wanted: Wanted::AtMost(6.0),
        detail: format!("{}; {} for tokens", listed(&others), tokens.len()),
    }
}

fn at_rest(requests: &[Request]) -> Figure {
    let (watches, others): (Vec<&Request>, Vec<_>) =
        requests.iter().partition(|request| request.is_a_watch());
    Figure {
        name: "requests to the API server at rest that are no watches",
        value: count(others.len()),
        unit: "",
        wanted: Wanted::AtMost(0.0),
        detail: format!("{} watches; {}", watches.len(), listed(&others)),
    }
}

fn listed(requests: &[&Request]) -> String {
    let all = requests.iter().map(|request| {
        let verb = request.verb.as_deref().unwrap_or("?");
        format!("{verb} {}", request.path)
    });
    all.collect::<Vec<_>>().join(", ")
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
