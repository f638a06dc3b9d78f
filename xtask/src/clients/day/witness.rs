//! What the agent has for its pods, moment by moment.

use std::path::{Path, PathBuf};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::clients::status;

/// Looks at the agent through its control socket.
#[derive(Debug)]
pub(super) struct Witness {
    runtime_dir: PathBuf,
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
            runtime_dir: runtime_dir.to_owned(),
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
        let status: Status = serde_json::from_value(status::read(&self.runtime_dir)?)?;
        for pod in status.pods {
            let left = pod.expires.map(|end| end.duration_since(now));
            let left = left.unwrap_or_default();
            self.least = Some(self.least.map_or(left, |least| least.min(left)));
        }
        Ok(())
    }
}
