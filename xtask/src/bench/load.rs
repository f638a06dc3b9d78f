//! A pod that asks for its credentials over new connections, as fast as it gets answers.

use std::net::{IpAddr, SocketAddr};

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

/// A pod, and what it asks.
#[derive(Debug)]
pub(super) struct Load<'a> {
    client: &'a PodClient,
    pod: &'a Pod,
    path: String,
    /// A session's token: every SDK has one.
    header: String,
    /// What every answer has to be.
    body: String,
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
    /// Lets `pod` ask once for the credentials of `role`. Gives the whole answer too.
    pub(super) fn new(stage: &'a Stage, pod: &'a Pod, role: &str) -> Result<(Self, Report)> {
        let client = stage.client();
        let get = |args: &[&str]| -> Result<(Report, String)> {
            let report = client.attempt(&pod.place(), &[&["get"], args].concat())?;
            ensure!(report.status == Some(200), "{args:?}: {report:?}");
            let body = report.body.clone().context("no body")?;
            Ok((report, body))
        };
        let (_, token) = get(&[TOKEN, "--method", "PUT", "--header", TOKEN_TTL])?;
        let header = format!("X-aws-ec2-metadata-token: {token}");
        let path = format!("{ROLES}{role}");
        let (report, body) = get(&[&path, "--header", &header])?;
        ensure!(body.contains("SecretAccessKey"), "no credentials: {body}");
        let load = Self {
            client,
            pod,
            path,
            header,
            body,
        };
        Ok((load, report))
    }

    /// Lets it ask `server` for the time of a turn.
    pub(super) fn turn(&self, server: SocketAddr, args: &Args) -> Result<Turn> {
        let (server, threads) = (server.to_string(), args.connections.to_string());
        let tally = self.client.tally(
            &self.pod.place(),
            &[
                "load",
                "--to",
                &server,
                "--threads",
                &threads,
                "--seconds",
                &args.seconds.to_string(),
                "--path",
                &self.path,
                "--header",
                &self.header,
                "--expect",
                &self.body,
            ],
        )?;
        Turn::of(&tally).with_context(|| format!("{server}: {tally:?}"))
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
