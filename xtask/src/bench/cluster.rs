//! The program `bench-cluster`, which is told what to do line by line.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use bpf2iam_support::{
    process::Process,
    stage::{BASE_ARN, Stage},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the API server is, in the node.
const LISTEN: &str = "127.0.0.1:6443";
/// As the agent is told.
pub(super) const URL: &str = "http://127.0.0.1:6443";

/// How long it may take to make all objects.
const START: Duration = Duration::from_mins(1);
/// How long an answer may take that needs no time.
const ANSWER: Duration = Duration::from_secs(10);

/// The cluster, as long as this lives.
#[derive(Debug)]
pub(super) struct Cluster {
    process: Process,
    orders: u64,
}

/// An order that takes its time.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Order(u64);

/// A request that the API server got.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Request {
    pub(super) verb: Option<String>,
    pub(super) path: String,
}

impl Request {
    pub(super) fn is_for_a_token(&self) -> bool {
        self.path.ends_with("/token")
    }

    pub(super) fn is_a_watch(&self) -> bool {
        self.verb.as_deref() == Some("watch")
    }
}

impl Cluster {
    /// Starts it on the node of `stage`, with all of its objects: a large cluster's, if `size` says nothing else.
    pub(super) fn start(stage: &Stage, program: &Path, size: &[&str]) -> Result<Self> {
        let mut command = stage.node().host().command(program)?;
        command
            .args(["--listen", LISTEN, "--base-arn", BASE_ARN])
            .arg("--node")
            .arg(stage.node().name())
            .args(size);
        let process = Process::spawn("bench-cluster", command)?;
        process.wait_for_line(|line| line.contains("ready"), START)?;
        Ok(Self { process, orders: 0 })
    }

    /// Creates or replaces an object.
    pub(super) fn put(&mut self, object: &Value) -> Result<()> {
        self.tell(&json!({"put": object})).map(drop)
    }

    /// Lets the containers start of the pods that stay on the node.
    pub(super) fn start_pods(&mut self) -> Result<()> {
        self.tell(&json!("start")).map(drop)
    }

    pub(super) fn forget_requests(&mut self) -> Result<()> {
        self.tell(&json!("forget")).map(drop)
    }

    /// What the API server was asked.
    pub(super) fn requests(&mut self) -> Result<Vec<Request>> {
        Ok(serde_json::from_value(self.tell(&json!("requests"))?)?)
    }

    /// The role that each pod of the node shall have, by UID.
    pub(super) fn roles(&mut self) -> Result<BTreeMap<String, String>> {
        Ok(serde_json::from_value(self.tell(&json!("roles"))?)?)
    }

    fn tell(&mut self, order: &Value) -> Result<Value> {
        let order = self.begin(order)?;
        self.end(order, ANSWER)
    }

    /// Lets it begin with something.
    pub(super) fn begin(&mut self, order: &Value) -> Result<Order> {
        self.orders += 1;
        let number = self.orders;
        let line = json!({"number": number, "do": order}).to_string();
        self.process.send_line(&line)?;
        Ok(Order(number))
    }

    /// What came of it, within `patience`.
    pub(super) fn end(&self, Order(number): Order, patience: Duration) -> Result<Value> {
        let own = format!("{number} ");
        let line = self
            .process
            .wait_for_line(|line| line.starts_with(&own), patience)?;
        let answer = line.strip_prefix(&format!("{own}done "));
        serde_json::from_str(answer.with_context(|| format!("bench-cluster: {line}"))?)
            .with_context(|| line.clone())
    }
}
