//! `pod-client`, the program that tries things from inside a pod, and what it reports.

mod sequence;
mod spells;

use std::{
    collections::BTreeMap,
    env, fmt,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    place::Place,
    privilege,
    process::{Process, output},
};

pub use sequence::{Sequence, Sequences};
pub use spells::{Spell, Spells};

/// The file's name.
const NAME: &str = "pod-client";
/// Where to find it, for those who build it elsewhere.
const VARIABLE: &str = "BPF2IAM_POD_CLIENT";
/// One attempt gives up by itself long before.
const ATTEMPT_PATIENCE: Duration = Duration::from_secs(30);
/// A loop of attempts.
const TALLY_PATIENCE: Duration = Duration::from_mins(5);

/// What a single attempt came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Which attempt.
    pub attempt: String,
    /// Whether there was a connection.
    pub connected: bool,
    /// The error that ended it, by the name of its errno.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was being done then: `socket`, `connect`, `send`, `receive` or the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<String>,
    /// What this kernel lacks for the attempt; it was not made then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<String>,
    /// Whom `getpeername` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// Whom it named before the socket was connected again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier_peer: Option<SocketAddr>,
    /// The own address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local: Option<SocketAddr>,
    /// Bytes that the kernel took where there is no connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<usize>,
    /// What came back where there is no HTTP: a datagram's text, `syn-ack`, `echo-reply`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// HTTP's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// HTTP's headers, names in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// HTTP's body, or all that came if it was no HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Report {
    /// Whether somebody answered.
    pub const fn answered(&self) -> bool {
        self.body.is_some() || self.reply.is_some()
    }

    /// Whether the attempt was made. If this kernel lacks what it needs, that is said past the test
    /// harness's capture: a test that goes on without it proves less.
    pub fn was_made(&self) -> bool {
        let Some(lacking) = &self.unsupported else {
            return true;
        };
        privilege::not_tried(&self.attempt, &format!("this kernel has no {lacking}"));
        false
    }
}

/// What a loop of attempts came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Which loop.
    pub attempt: String,
    /// Answers as expected; where nobody answers, connections.
    pub ok: u64,
    /// Answers that were not.
    pub wrong: u64,
    /// Attempts without an answer, by the name of the errno.
    pub errors: BTreeMap<String, u64>,
    /// The first few wrong answers.
    pub samples: Vec<String>,
    /// How long it all took.
    pub seconds: f64,
    /// How long `connect` took.
    pub connect: Option<Latency>,
    /// How long it took from the start of a connection to the end of the answer.
    pub answer: Option<Latency>,
    /// Where the answer is followed: when it became another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

/// An answer that is not the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was there, in nanoseconds of the clock that all processes of the machine share.
    pub at: u64,
    /// The body; of an answer that was not 200, the status; of none, the errno's name.
    pub answer: String,
}

impl Tally {
    /// All attempts.
    pub fn total(&self) -> u64 {
        self.ok + self.wrong + self.errors.values().sum::<u64>()
    }
}

/// Percentiles, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The fastest.
    pub min: u32,
    /// Half were as fast.
    pub p50: u32,
    /// All but one in a hundred were as fast.
    pub p99: u32,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, p50, p99 } = self;
        write!(f, "min {min} ns, p50 {p50} ns, p99 {p99} ns")
    }
}

/// The program, to be run in any number of places.
#[derive(Clone, Debug)]
pub struct PodClient {
    program: PathBuf,
}

impl PodClient {
    /// The one at `program`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
        }
    }

    /// The one that cargo puts beside this program, or that `BPF2IAM_POD_CLIENT` names.
    pub fn find() -> Result<Self> {
        if let Some(program) = env::var_os(VARIABLE) {
            return Ok(Self::at(program));
        }
        let this = env::current_exe().context("this program's own path")?;
        // Programs are in target/PROFILE, tests in target/PROFILE/deps.
        let mut candidates = this.ancestors().skip(1).take(2).map(|dir| dir.join(NAME));
        let program = candidates.find(|program| program.is_file());
        program.map(Self::at).with_context(|| {
            format!(
                "no {NAME} beside {}: cargo build -p bpf2iam-support",
                this.display()
            )
        })
    }

    /// The program with its arguments: the attempt's name first.
    pub fn command(&self, place: &Place, args: &[&str]) -> Result<Command> {
        let mut command = place.command(&self.program)?;
        command.args(args);
        Ok(command)
    }

    /// Makes one attempt.
    pub fn attempt(&self, place: &Place, args: &[&str]) -> Result<Report> {
        self.run(place, args, ATTEMPT_PATIENCE)
    }

    /// Makes a loop of attempts.
    pub fn tally(&self, place: &Place, args: &[&str]) -> Result<Tally> {
        self.run(place, args, TALLY_PATIENCE)
    }

    /// Starts an attempt that needs something in the middle; [`reported`] has its report.
    pub fn start(&self, place: &Place, args: &[&str]) -> Result<Process> {
        Process::spawn(args.join(" "), self.command(place, args)?)
    }

    fn run<T: DeserializeOwned>(
        &self,
        place: &Place,
        args: &[&str],
        patience: Duration,
    ) -> Result<T> {
        let what = args.join(" ");
        let output = output(&mut self.command(place, args)?, patience).context(what.clone())?;
        let Output {
            status,
            stdout,
            stderr,
        } = &output;
        let said = String::from_utf8_lossy(stderr);
        ensure!(status.success(), "{what}: {status}: {}", said.trim());
        serde_json::from_slice(stdout).with_context(|| format!("the report of {what}"))
    }
}

/// The report ([`Report`], [`Tally`], [`Sequences`] or [`Spells`]) of an attempt that was started.
pub fn reported<T: DeserializeOwned>(process: &Process, patience: Duration) -> Result<T> {
    let line = process.wait_for_line(|line| line.starts_with('{'), patience)?;
    serde_json::from_str(&line).with_context(|| format!("the report {line}"))
}
