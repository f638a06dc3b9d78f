//! The agent on a stage, while it runs.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::process::{Process, output};

use super::{ANSWER, START, Stage};

/// How long the agent may take to get keys for all pods.
const KEYS: Duration = Duration::from_secs(20);
/// How long between two looks at what it has.
const PAUSE: Duration = Duration::from_millis(20);

/// The running agent. It is killed on drop; [`Agent::stop`] ends it as an operator would.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    program: PathBuf,
    runtime_dir: PathBuf,
    manifests: PathBuf,
    port: u16,
    /// What the programs had counted when it was ready.
    counted: Value,
}

impl Agent {
    /// Waits until the agent in `process` says that it is ready.
    pub fn ready(process: Process, stage: &Stage) -> Result<Self> {
        let is_ready = |line: &str| line.contains("\"message\":\"ready\"");
        let line = process.wait_for_line(is_ready, START)?;
        let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
        let listeners = line["listeners"].as_str().unwrap_or_default();
        let first: Option<SocketAddr> = listeners
            .split(',')
            .next()
            .and_then(|first| first.parse().ok());
        let mut agent = Self {
            counted: Value::Null,
            port: first
                .with_context(|| format!("no listener in {line}"))?
                .port(),
            program: stage.programs.agent.clone(),
            runtime_dir: stage.runtime_dir(),
            manifests: stage.manifests(),
            process,
        };
        agent.counted = agent.counters().unwrap_or_default();
        Ok(agent)
    }

    /// Waits until it has keys for all pods. On a busy machine this takes longer than a client waits.
    pub fn wait_for_keys(&self) -> Result<()> {
        let manifests =
            fs::read_dir(&self.manifests).with_context(|| self.manifests.display().to_string())?;
        self.wait_for_keys_of(manifests.count())
    }

    /// Waits until it knows this many pods, wherever it knows them from, and has keys for them.
    pub fn wait_for_keys_of(&self, pods: usize) -> Result<()> {
        let deadline = Instant::now() + KEYS;
        while !self.has_keys(pods)? {
            ensure!(
                Instant::now() < deadline,
                "bpf2iam has no keys for some pods: {}",
                self.status()?["pods"]
            );
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Whether it knows this many pods, and is not on the way to keys for any.
    fn has_keys(&self, wanted: usize) -> Result<bool> {
        let status = self.status()?;
        let pods = status["pods"].as_array().context("no pods")?;
        Ok(pods.len() == wanted && pods.iter().all(|pod| pod["state"] != "fetching"))
    }

    /// The port on which redirected connections arrive.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Its process, for who needs no more.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// What `bpf2iam status` prints, with more arguments.
    pub fn status_page(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command
            .arg("status")
            .arg("--runtime-dir")
            .arg(&self.runtime_dir)
            .args(args);
        let output = output(&mut command, ANSWER)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "bpf2iam status: {}: {said}",
            output.status
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `bpf2iam status -o json` says.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.status_page(&["-o", "json"])?)?)
    }

    /// What the programs have counted since the agent was ready: to be so, it made connections of its own.
    pub fn kernel_counter(&self, name: &str) -> Result<u64> {
        let before = self.counted[name].as_u64().unwrap_or_default();
        Ok(self.kernel_total(name)? - before)
    }

    /// One of the programs' counters.
    pub fn kernel_total(&self, name: &str) -> Result<u64> {
        let counters = self.counters()?;
        let count = counters[name].as_u64();
        count.with_context(|| format!("no counter {name}"))
    }

    fn counters(&self) -> Result<Value> {
        Ok(self.status()?["counters"]["kernel"].take())
    }

    /// The records of its log with this message.
    pub fn logged(&self, message: &str) -> Vec<Value> {
        let lines = self.process.lines();
        let records = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records
            .filter(|record| record["message"] == message)
            .collect()
    }

    /// Ends it with SIGTERM, and says how it ended.
    pub fn stop(self) -> Result<ExitStatus> {
        self.end(Signal::TERM)
    }

    /// Ends it with `signal`, and says how it ended.
    pub fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        self.process.signal(signal)?;
        self.process.wait(START)
    }
}
