//! Warm credentials over new connections: from a pod through the programs to the agent, attested and logged, against a
//! bare hyper server on the same node that says the same to whoever connects.
//!
//! Both are asked from the same pod, in turns. The programs are attached to that pod's cgroup all the time, so they see
//! both connects; only the agent's are redirected.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use bpf2iam_support::{Pod, addresses::NODE_V4, process::Process, stage::Stage};

use crate::say;

use super::{
    Args,
    agent::Agent,
    figure::{Figure, Series, Wanted},
    load::{Load, METADATA, Turn, microseconds},
};

pub(super) mod answer;
pub(super) mod burst;
mod clients;

/// Where the bare server is.
const BARE: SocketAddr = SocketAddr::new(IpAddr::V4(NODE_V4), 8181);

/// How long the bare server may take to begin.
const START: Duration = Duration::from_secs(20);

/// The role of the pod that asks. It is the pod's name as well.
pub(super) const ROLE: &str = "client";

/// Both servers, and who asks them.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    load: Load<'a>,
    /// The bare server, which runs as long as this lives.
    _bare: Process,
}

/// A turn of each.
#[derive(Debug)]
struct Round {
    agent: Turn,
    bare: Turn,
}

impl<'a> Bench<'a> {
    /// Asks `agent` once, from `pod`, and starts the program `bare` that says the same.
    pub(super) fn new(stage: &'a Stage, pod: &'a Pod, agent: &Agent, bare: &Path) -> Result<Self> {
        let (load, report) = Load::new(stage, pod, ROLE)?;
        let answer = stage.manifests().with_file_name("answer.json");
        fs::write(&answer, serde_json::to_vec(&report)?)
            .with_context(|| answer.display().to_string())?;
        Ok(Self {
            load,
            _bare: start(stage, bare, agent.workers()?, &answer)?,
        })
    }

    /// Lets both take turns.
    pub(super) fn measure(&self, args: &Args) -> Result<[Figure; 2]> {
        say::step(format!(
            "warm credentials: {} rounds of {} s for each, {} connections at a time",
            args.rounds, args.seconds, args.connections
        ));
        self.round(0, args)?; // warms both up
        let mut rounds = Vec::new();
        for number in 1..=args.rounds {
            let round = self.round(number, args)?;
            say::note(round.to_string());
            rounds.push(round);
        }
        Ok(figures(&rounds))
    }

    /// A turn of each. Who is first changes, so that neither always has what the other leaves behind.
    fn round(&self, number: u32, args: &Args) -> Result<Round> {
        if number.is_multiple_of(2) {
            let agent = self.load.turn(METADATA, args)?;
            let bare = self.load.turn(BARE, args)?;
            Ok(Round { agent, bare })
        } else {
            let bare = self.load.turn(BARE, args)?;
            let agent = self.load.turn(METADATA, args)?;
            Ok(Round { agent, bare })
        }
    }
}

/// Starts the bare server on the node, beside the agent.
fn start(stage: &Stage, bare: &Path, workers: u64, answer: &Path) -> Result<Process> {
    let mut command = stage.node().host().command(bare)?;
    command
        .args(["--listen", &BARE.to_string()])
        .args(["--workers", &workers.to_string()])
        .arg("--answer")
        .arg(answer);
    let bare = Process::spawn("bare-server", command)?;
    bare.wait_for_line(|line| line.contains("ready"), START)?;
    Ok(bare)
}

fn figures(rounds: &[Round]) -> [Figure; 2] {
    let each = |of: fn(&Round) -> f64| Series::new(rounds.iter().map(of));
    let rate = each(|round| round.agent.rate / round.bare.rate);
    let tail = each(|round| ratio(round.agent.answer.p99, round.bare.answer.p99));
    [
        Figure {
            name: "credentials: requests a second",
            value: rate.median(),
            unit: " x",
            wanted: Wanted::AtLeast(0.85),
            detail: format!(
                "rounds {}; agent {:.0}/s, bare server {:.0}/s",
                rate.range(),
                each(|round| round.agent.rate).median(),
                each(|round| round.bare.rate).median()
            ),
        },
        Figure {
            name: "credentials: p99",
            value: tail.median(),
            unit: " x",
            wanted: Wanted::AtMost(1.5),
            detail: format!(
                "rounds {}; agent {:.0} us, bare server {:.0} us",
                tail.range(),
                each(|round| microseconds(round.agent.answer.p99)).median(),
                each(|round| microseconds(round.bare.answer.p99)).median()
            ),
        },
    ]
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { agent, bare } = self;
        let (rate, tail) = (
            agent.rate / bare.rate,
            ratio(agent.answer.p99, bare.answer.p99),
        );
        write!(
            f,
            "agent {agent} | bare {bare} | rate x {rate:.2}, p99 x {tail:.2}"
        )
    }
}

fn ratio(of: u32, to: u32) -> f64 {
    f64::from(of) / f64::from(to)
}
