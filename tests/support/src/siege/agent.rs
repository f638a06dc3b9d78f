//! The agent, with little to say: its log of each request would take part in what is measured.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::{moment::Moment, process::Process, stage::Stage};

/// How long it may take to begin, on a machine that the clients keep busy, and to end.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked whether it is ready.
const LOOK: Duration = Duration::from_millis(5);
const REQUEST: &[u8] = b"GET /v1/status HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// The running agent. On drop it is ended.
#[derive(Debug)]
pub struct Running {
    process: Process,
    runtime_dir: PathBuf,
    started: Moment,
}

impl Running {
    /// Starts it, and waits until it serves.
    pub fn start(stage: &Stage, args: &[&str]) -> Result<Self> {
        let args = [&["--log-level", "warn"], args].concat();
        let command = stage.agent(&args)?;
        let started = Moment::now();
        let agent = Self {
            process: Process::spawn("bpf2iam", command)?,
            runtime_dir: stage.runtime_dir(),
            started,
        };
        agent.wait_until_it_serves()?;
        Ok(agent)
    }

    /// When it was started.
    pub const fn started(&self) -> Moment {
        self.started
    }

    /// Ends it with `signal`, and waits for its end.
    pub fn end(mut self, signal: Signal) -> Result<ExitStatus> {
        self.process.signal(signal)?;
        self.process.wait(PATIENCE)
    }

    fn wait_until_it_serves(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.serves() {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        bail!("the agent does not serve: {:#?}", self.process.lines())
    }

    /// Whether it says so. While it starts, nobody answers, or the one before it does.
    fn serves(&self) -> bool {
        status(&self.runtime_dir).is_ok_and(|status| {
            let pending = status["pending"].as_array();
            status["pid"] == self.process.pid()
                && status["kernel"]["serving"] == "yes"
                && pending.is_some_and(Vec::is_empty)
        })
    }
}

/// What the agent with this runtime directory says now.
fn status(runtime_dir: &Path) -> Result<Value> {
    let mut stream = UnixStream::connect(runtime_dir.join("control.sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Ok(serde_json::from_str(body.context("no HTTP")?)?)
}
