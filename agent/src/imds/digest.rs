//! Many like events in one warning, so that nobody can fill the log by repeating them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often there may be a warning.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts what was not said yet.
#[derive(Debug, Default)]
pub(super) struct Digest(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    said: Option<Instant>,
    count: u64,
}

impl Digest {
    /// Counts one more. When it is time for a warning, says of how many.
    pub(super) fn add(&self) -> Option<u64> {
        let now = Instant::now();
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pending.count += 1;
        if pending
            .said
            .is_some_and(|said| now.duration_since(said) < INTERVAL)
        {
            return None;
        }
        pending.said = Some(now);
        Some(std::mem::take(&mut pending.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_is_said_at_once_and_the_rest_together() {
        let digest = Digest::default();
        assert_eq!(digest.add(), Some(1));
        assert_eq!((digest.add(), digest.add()), (None, None));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(digest.add(), Some(3));
        assert_eq!(digest.add(), None);
    }
}
