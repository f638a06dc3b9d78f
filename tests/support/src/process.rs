//! Programs that run beside a test: what they print, and their end.

mod ending;
mod idle;
mod lines;
mod output;

use std::{
    io::Write as _,
    os::{fd::OwnedFd, unix::process::CommandExt as _},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::sweep;

pub use idle::wait_until_idle;
pub use output::output;

use lines::Lines;

/// How long a program may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long its streams may stay open after its end: a child of it may have them.
const REST: Duration = Duration::from_secs(4);

/// A program that runs until it is stopped. On drop it gets SIGTERM, and SIGKILL if that is not enough.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pidfd: OwnedFd,
    stdin: Option<ChildStdin>,
    lines: Arc<Lines>,
}

impl Process {
    /// Starts `command`, to be called `name` in errors. All that it prints is kept. Ctrl-C on the terminal is
    /// not for it: whoever started it decides what ends when.
    pub fn spawn(name: impl Into<String>, mut command: Command) -> Result<Self> {
        let name = name.into();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let pidfd = pidfd.with_context(|| format!("pidfd of {name}"))?;
        let lines = Lines::following(child.stdout.take(), child.stderr.take());
        Ok(Self {
            stdin: child.stdin.take(),
            name,
            child,
            pidfd,
            lines,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far, of both streams.
    pub fn lines(&self) -> Vec<String> {
        self.lines.all()
    }

    /// The first line that is `wanted`, printed already or within `patience`. An early end of the
    /// program is an error at once.
    pub fn wait_for_line(
        &self,
        wanted: impl Fn(&str) -> bool,
        patience: Duration,
    ) -> Result<String> {
        let deadline = Instant::now() + patience;
        match self.lines.wait_for(wanted, deadline) {
            Some(line) => Ok(line),
            None => bail!(
                "{} has not printed what was waited for, but\n{}",
                self.name,
                self.lines().join("\n")
            ),
        }
    }

    /// Gives it a line to read.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its input is closed")?;
        writeln!(stdin, "{line}").with_context(|| format!("{} does not read", self.name))
    }

    /// Tells it that there is no more to read.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        pidfd_send_signal(&self.pidfd, signal).with_context(|| format!("signal to {}", self.name))
    }

    /// Waits for its end, at most `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        if !ending::within(&self.pidfd, patience)? {
            bail!("{} still runs after {patience:?}", self.name);
        }
        self.lines.wait_for_end(Instant::now() + REST);
        Ok(self.child.wait()?)
    }

    /// Asks it to end, and makes it if it does not. Says how it ended.
    pub fn stop(mut self) -> Result<ExitStatus> {
        self.end()
    }

    fn end(&mut self) -> Result<ExitStatus> {
        if let Some(ended) = self.child.try_wait()? {
            return Ok(ended);
        }
        self.signal(Signal::TERM)?;
        if !ending::within(&self.pidfd, PATIENCE)? {
            self.signal(Signal::KILL)?;
        }
        self.wait(PATIENCE)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        sweep::report(self.end().map(drop));
    }
}
