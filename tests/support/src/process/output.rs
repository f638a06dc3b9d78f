//! Programs that run to their end.

use std::{
    io::Read,
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::{REST, ending};

/// Runs `command` to its end and collects what it prints. After `patience` it is killed, which is an
/// error.
pub fn output(command: &mut Command, patience: Duration) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .with_context(|| format!("{} does not start", command.get_program().display()))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let in_time = ends_within(&child, patience);
    if !matches!(in_time, Ok(true)) {
        child.kill()?;
    }
    let status = child.wait()?;
    let deadline = Instant::now() + REST;
    let collected = |stream: Option<_>| stream.map(|stream| collected(stream, deadline));
    let output = Output {
        status,
        stdout: collected(stdout).unwrap_or_default(),
        stderr: collected(stderr).unwrap_or_default(),
    };
    if in_time? {
        return Ok(output);
    }
    bail!(
        "{} has not ended after {patience:?}: {}{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn ends_within(child: &Child, patience: Duration) -> Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Ok(ending::within(pidfd, patience)?)
}

/// Reads a stream on a thread that ends with it.
fn collect(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if tx.send(buffer[..read].to_vec()).is_err() {
                // The program left its streams to a child, and nobody waits for that.
                break;
            }
        }
    });
    rx
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "its sender hears that nobody listens any more"
)]
fn collected(stream: Receiver<Vec<u8>>, deadline: Instant) -> Vec<u8> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let mut all = Vec::new();
    while let Ok(part) = stream.recv_timeout(left()) {
        all.extend(part);
    }
    all
}
