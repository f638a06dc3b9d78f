//! A pod that asks over new connections, as fast as it gets answers: for a token, for its credentials, or for all that an
//! SDK asks for.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{
    Pod,
    addresses::METADATA_V4,
    client::{Latency, PodClient, Report, Tally},
    stage::Stage,
};

use super::Args;

/// What the agent is asked as.
pub(super) const METADATA: SocketAddr = SocketAddr::new(IpAddr::V4(METADATA_V4), 80);

const TOKEN: &str = "/latest/api/token";
const TOKEN_TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// The credentials of the pod's role, in a session.
    Credentials,
    /// A token.
    Token,
    /// A token, the name of the role and its credentials, over three connections.
    Sdk(Rest),
}

/// What a client does after it has its credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Something else for a while.
    Pause,
    /// It asks again.
    None,
}

/// A pod, and what it asks.
#[derive(Debug)]
pub(super) struct Load<'a> {
    client: &'a PodClient,
    pod: &'a Pod,
    /// What `pod-client` is told.
    words: Vec<String>,
    pace: Pace,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Answers a second.
    pub(super) rate: f64,
    pub(super) connect: Latency,
    pub(super) answer: Latency,
}

impl<'a> Load<'a> {
    /// Lets `pod` ask once, in the session of a token of its own where that is about `role`. Gives the whole answer too.
    pub(super) fn new(
        stage: &'a Stage,
        pod: &'a Pod,
        role: &str,
        (ask, pace): (Ask, Pace),
    ) -> Result<(Self, Report)> {
        let client = stage.client();
        let get = |args: &[&str]| -> Result<(Report, String)> {
            let report = client.attempt(&pod.place(), &[&["get"], args].concat())?;
            ensure!(report.status == Some(200), "{args:?}: {report:?}");
            let body = report.body.clone().context("no body")?;
            Ok((report, body))
        };
        let (of_token, token) = get(&[TOKEN, "--method", "PUT", "--header", TOKEN_TTL])?;
        let header = format!("X-aws-ec2-metadata-token: {token}");
        let path = format!("{ROLES}{role}");
        let (of_keys, keys) = get(&[&path, "--header", &header])?;
        ensure!(keys.contains("SecretAccessKey"), "no credentials: {keys}");
        let in_session = ["--path", &path, "--header", &header, "--expect", &keys];
        let words = match ask {
            Ask::Credentials => in_session.to_vec(),
            Ask::Sdk(_) => [&in_session[..], &["--sdk"]].concat(),
            // All tokens end alike.
            Ask::Token => {
                let put = ["--path", TOKEN, "--method", "PUT", "--header", TOKEN_TTL];
                [&put[..], &["--expect", "=="]].concat()
            }
        };
        let load = Self {
            client,
            pod,
            words: words.into_iter().map(str::to_owned).collect(),
            pace,
        };
        Ok((load, if ask == Ask::Token { of_token } else { of_keys }))
    }

    /// Lets it ask `server` for the time of a turn.
    pub(super) fn turn(&self, server: SocketAddr, args: &Args) -> Result<Turn> {
        let (server, threads) = (server.to_string(), self.pace.clients.to_string());
        let (seconds, pause) = (
            args.seconds.to_string(),
            self.pace.pause.as_micros().to_string(),
        );
        let mut words = vec!["load", "--to", &server, "--threads", &threads];
        words.extend(["--seconds", &seconds, "--pause", &pause]);
        words.extend(self.words.iter().map(String::as_str));
        let tally = self.client.tally(&self.pod.place(), &words)?;
        Turn::of(&tally).with_context(|| format!("{server}: {tally:?}"))
    }
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many ask at a time.
    pub(super) clients: u32,
    /// How long each waits after an answer.
    pub(super) pause: Duration,
}

impl Pace {
    /// As much as there can be.
    pub(super) const fn full(args: &Args) -> Self {
        Self {
            clients: args.connections,
            pause: Duration::ZERO,
        }
    }
}

impl Turn {
    /// None if any answer was missing or wrong.
    fn of(tally: &Tally) -> Option<Self> {
        let all = u32::try_from(tally.ok).ok()?;
        (tally.total() == tally.ok).then_some(Self {
            rate: f64::from(all) / tally.seconds,
            connect: tally.connect?,
            answer: tally.answer?,
        })
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:6.0}/s, connect p50 {:3.0} us, answer p50 {:4.0} us, p99 {:5.0} us",
            self.rate,
            microseconds(self.connect.p50),
            microseconds(self.answer.p50),
            microseconds(self.answer.p99)
        )
    }
}

pub(super) fn microseconds(nanoseconds: u32) -> f64 {
    f64::from(nanoseconds) / 1000.0
}
