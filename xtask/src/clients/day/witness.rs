//! What the agent has for its pods, moment by moment.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

/// How long the agent may take.
const ANSWER: Duration = Duration::from_secs(10);
const REQUEST: &str = "GET /v1/status HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Looks at the agent through its control socket.
#[derive(Debug)]
pub(super) struct Witness {
    socket: PathBuf,
    least: Option<SignedDuration>,
}

#[derive(Debug, Deserialize)]
struct Status {
    pods: Vec<Pod>,
}

/// Without an end, there are no keys.
#[derive(Debug, Deserialize)]
struct Pod {
    expires: Option<Timestamp>,
}

impl Witness {
    /// Of the agent with this runtime directory.
    pub(super) fn new(runtime_dir: &Path) -> Self {
        Self {
            socket: runtime_dir.join("control.sock"),
            least: None,
        }
    }

    /// How long the keys were still good that a pod would have been given, at the worst moment.
    pub(super) fn least(&self) -> SignedDuration {
        self.least.unwrap_or_default()
    }

    /// Looks, when it is `now` for the agent. A program that sleeps does not see that time jumps; with this
    /// question it wakes up.
    pub(super) fn look(&mut self, now: Timestamp) -> Result<()> {
        let answer = self.answer().context("the agent's control socket")?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let status: Status = serde_json::from_str(body).with_context(|| answer.clone())?;
        for pod in status.pods {
            let left = pod.expires.map(|end| end.duration_since(now));
            let left = left.unwrap_or_default();
            self.least = Some(self.least.map_or(left, |least| least.min(left)));
        }
        Ok(())
    }

    fn answer(&self) -> Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(REQUEST.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}
