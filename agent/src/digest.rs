//! Many like events in one warning, so that nobody can fill the log by repeating them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How often there may be a warning.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts what was not said yet, each kind for itself. There are only a few kinds.
#[derive(Debug, Default)]
pub(crate) struct Digest(Mutex<BTreeMap<&'static str, Pending>>);

#[derive(Debug, Default)]
struct Pending {
    said: Option<Instant>,
    count: u64,
}

impl Digest {
    /// Counts one more of a kind. When it is time for a warning about that kind, says of how many.
    pub(crate) fn add(&self, kind: &'static str) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_default().add(Instant::now())
    }
}

impl Pending {
    fn add(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self
            .said
            .is_some_and(|said| now.duration_since(said) < INTERVAL)
        {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_kind_is_said_at_once_and_the_rest_together() {
        let digest = Digest::default();
        assert_eq!(digest.add("red"), Some(1));
        assert_eq!((digest.add("red"), digest.add("red")), (None, None));
        assert_eq!(digest.add("blue"), Some(1), "one kind hides no other");
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(digest.add("red"), Some(3));
        assert_eq!((digest.add("red"), digest.add("blue")), (None, Some(1)));
    }
}
