//! The agent, with its log in memory: whoever read it from a pipe would take part in what is measured, and so would the
//! file system of a disk.

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use bpf2iam_support::stage::Stage;
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

/// How long it may take to begin.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end.
const END: Duration = Duration::from_secs(20);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// The running agent. On drop it is killed.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    log: File,
    status: Command,
}

impl Agent {
    /// Starts it with `args` besides what it needs on `stage`, and waits until it is ready.
    pub(super) fn start(stage: &Stage, args: &[&str]) -> Result<Self> {
        let log = File::from(memfd_create("agent.log", MemfdFlags::CLOEXEC)?);
        let mut command = stage.agent(args)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone()?);
        let mut status = Command::new(&stage.programs().agent);
        status
            .args(["status", "--output", "json", "--runtime-dir"])
            .arg(stage.runtime_dir());
        let mut agent = Self {
            child: command.spawn().context("the agent does not start")?,
            log,
            status,
        };
        agent.wait_until("ready", |agent| {
            Ok(agent.logged("ready")?.is_some().then_some(()))
        })?;
        Ok(agent)
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many threads it says that it works with.
    pub(super) fn workers(&self) -> Result<u64> {
        let starting = self.logged("starting")?;
        let workers = starting.and_then(|record| record["workers"].as_u64());
        workers.context("the agent has not logged how many workers it has")
    }

    /// The first record in its log with this message.
    fn logged(&self, message: &str) -> Result<Option<Value>> {
        Ok(self.all_logged(message)?.into_iter().next())
    }

    /// All records in its log with this message.
    pub(super) fn all_logged(&self, message: &str) -> Result<Vec<Value>> {
        let text = self.log_text()?;
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Ok(records
            .filter(|record| record["message"] == message)
            .collect())
    }

    /// What `bpf2iam status -o json` says.
    pub(super) fn status(&mut self) -> Result<Value> {
        let output = self.status.output().context("bpf2iam status")?;
        ensure!(output.status.success(), "bpf2iam status: {output:?}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits for what `look` finds, for a bounded time and as long as the agent runs.
    pub(super) fn wait_until<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(ended) = self.child.try_wait()? {
                bail!("the agent ended, {ended}: {}", self.last_words());
            }
            if let Some(found) = look(self)? {
                return Ok(found);
            }
            thread::sleep(LOOK);
        }
        bail!("the agent is not {what}: {}", self.last_words())
    }

    /// Ends it as an operator would.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if let Some(ended) = self.child.try_wait()? {
                ensure!(ended.success(), "{ended}: {}", self.last_words());
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        bail!("the agent does not end: {}", self.last_words())
    }

    /// What it has said. The file's own position is the agent's.
    fn log_text(&self) -> Result<String> {
        let path = format!("/proc/self/fd/{}", self.log.as_raw_fd());
        fs::read_to_string(path).context("the agent's log")
    }

    fn last_words(&self) -> String {
        let log = self.log_text().unwrap_or_default();
        log.lines().next_back().unwrap_or_default().to_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _killed = self.child.kill().is_ok() && self.child.wait().is_ok();
    }
}
