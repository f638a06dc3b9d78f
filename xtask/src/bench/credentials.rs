//! Tokens and warm credentials over new connections: from a pod through the programs to the agent, attested and logged,
//! against a bare hyper server on the same node that says the same to whoever connects.
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
    load::{Ask, Load, METADATA, Pace, Rest, Turn, microseconds},
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
    ask: Ask,
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

/// So many clients ask for all that an SDK asks for.
const CLIENTS: u32 = 16;
/// What they do with it takes at least as long. Without it they measure how long they wait for each other, as all of
/// them always ask.
const PAUSE: Duration = Duration::from_millis(20);

impl<'a> Bench<'a> {
    /// Asks `agent` once, from `pod`, and starts the program `bare` that says the same.
    pub(super) fn new(
        stage: &'a Stage,
        pod: &'a Pod,
        (agent, bare): (&Agent, &Path),
        (ask, args): (Ask, &Args),
    ) -> Result<Self> {
        let pace = match ask {
            Ask::Credentials | Ask::Token => Pace::full(args),
            Ask::Sdk(rest) => Pace {
                clients: CLIENTS,
                pause: pause(rest),
            },
        };
        let (load, report) = Load::new(stage, pod, ROLE, (ask, pace))?;
        let answer = stage.manifests().with_file_name("answer.json");
        fs::write(&answer, serde_json::to_vec(&report)?)
            .with_context(|| answer.display().to_string())?;
        Ok(Self {
            ask,
            load,
            _bare: start(stage, bare, agent.workers()?, &answer)?,
        })
    }

    /// Lets both take turns.
    pub(super) fn measure(&self, args: &Args) -> Result<Vec<Figure>> {
        say::step(format!(
            "{}: {} rounds of {} s for each",
            self.what(args),
            args.rounds,
            args.seconds
        ));
        self.round(0, args)?; // warms both up
        let mut rounds = Vec::new();
        for number in 1..=args.rounds {
            let round = self.round(number, args)?;
            say::note(round.to_string());
            rounds.push(round);
        }
        Ok(match self.ask {
            Ask::Credentials => figures(CREDENTIALS, &rounds).to_vec(),
            Ask::Token => figures(TOKENS, &rounds).to_vec(),
            Ask::Sdk(rest) => vec![sequence(rest, &rounds)],
        })
    }

    fn what(&self, args: &Args) -> String {
        match self.ask {
            Ask::Credentials => format!(
                "warm credentials, {} connections at a time",
                args.connections
            ),
            Ask::Token => format!("tokens, {} connections at a time", args.connections),
            Ask::Sdk(rest) => format!(
                "token, role and credentials, {CLIENTS} clients with pauses of {} ms",
                pause(rest).as_millis()
            ),
        }
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

/// Rate and p99 of the credentials, and what p99 shall be.
const CREDENTIALS: [(&str, Wanted); 2] = [
    ("credentials: requests a second", Wanted::AtLeast(0.85)),
    ("credentials: p99", Wanted::AtMost(1.5)),
];
/// The same of tokens.
const TOKENS: [(&str, Wanted); 2] = [
    ("tokens: requests a second", Wanted::AtLeast(0.85)),
    ("tokens: p99", Wanted::Nothing),
];

fn figures([of_rate, of_tail]: [(&'static str, Wanted); 2], rounds: &[Round]) -> [Figure; 2] {
    let each = |of: fn(&Round) -> f64| Series::new(rounds.iter().map(of));
    let rate = each(|round| round.agent.rate / round.bare.rate);
    let tail = each(Round::tail);
    [
        Figure {
            name: of_rate.0,
            value: rate.median(),
            unit: " x",
            wanted: of_rate.1,
            detail: format!(
                "rounds {}; agent {:.0}/s, bare server {:.0}/s",
                rate.range(),
                each(|round| round.agent.rate).median(),
                each(|round| round.bare.rate).median()
            ),
        },
        Figure {
            name: of_tail.0,
            value: tail.median(),
            unit: " x",
            wanted: of_tail.1,
            detail: tails(&tail, rounds),
        },
    ]
}

const fn pause(rest: Rest) -> Duration {
    match rest {
        Rest::Pause => PAUSE,
        Rest::None => Duration::ZERO,
    }
}

/// What a client of an SDK waits for its first keys.
fn sequence(rest: Rest, rounds: &[Round]) -> Figure {
    let each = |of: fn(&Round) -> f64| Series::new(rounds.iter().map(of));
    let tail = each(Round::tail);
    Figure {
        name: match rest {
            Rest::Pause => "token, role and credentials: p99",
            Rest::None => "token, role and credentials without a pause: p99",
        },
        value: each(|round| microseconds(round.agent.answer.p99)).median() / 1000.0,
        unit: " ms",
        wanted: match rest {
            Rest::Pause => Wanted::AtMost(2.0),
            Rest::None => Wanted::Nothing,
        },
        detail: format!("{:.2} x; {}", tail.median(), tails(&tail, rounds)),
    }
}

fn tails(tail: &Series, rounds: &[Round]) -> String {
    let each = |of: fn(&Round) -> f64| Series::new(rounds.iter().map(of));
    format!(
        "rounds {}; agent {:.0} us, bare server {:.0} us",
        tail.range(),
        each(|round| microseconds(round.agent.answer.p99)).median(),
        each(|round| microseconds(round.bare.answer.p99)).median()
    )
}

impl Round {
    /// The agent's p99, by the bare server's.
    fn tail(&self) -> f64 {
        f64::from(self.agent.answer.p99) / f64::from(self.bare.answer.p99)
    }
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { agent, bare } = self;
        let (rate, tail) = (agent.rate / bare.rate, self.tail());
        write!(
            f,
            "agent {agent} | bare {bare} | rate x {rate:.2}, p99 x {tail:.2}"
        )
    }
}
