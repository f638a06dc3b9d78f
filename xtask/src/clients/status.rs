//! What the agent says of itself, by its control socket: as `bpf2iam status` does, only faster.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// How long the agent may take.
const ANSWER: Duration = Duration::from_secs(10);
const REQUEST: &str = "GET /v1/status HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// What the agent with this runtime directory says now.
pub(super) fn read(runtime_dir: &Path) -> Result<Value> {
    let answer = answer(runtime_dir).context("the agent's control socket")?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
    serde_json::from_str(body).with_context(|| answer.clone())
}

fn answer(runtime_dir: &Path) -> Result<String> {
    let mut stream = UnixStream::connect(runtime_dir.join("control.sock"))?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.write_all(REQUEST.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
