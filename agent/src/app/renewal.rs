//! Renews the lease while the agent lives.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::{digest::Digest, redirect::Lease};

/// The task that does so, as long as the programs obey us. It ends with this.
#[derive(Debug)]
pub(super) struct Renewal(JoinHandle<()>);

impl Renewal {
    /// Renews `lease` by `length` each `period`.
    pub(super) fn begin(mut lease: Lease, length: Duration, period: Duration) -> Self {
        Self(tokio::spawn(async move {
            let warnings = Digest::default();
            loop {
                if let Err(error) = lease.renew(length)
                    && let Some(count) = warnings.add("renew")
                {
                    let error = anyhow::Error::from(error);
                    tracing::warn!(count, "cannot renew the lease: {error:#}");
                }
                tokio::time::sleep(period).await;
            }
        }))
    }

    /// Whether it goes on.
    pub(super) fn is_alive(&self) -> bool {
        !self.0.is_finished()
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}
