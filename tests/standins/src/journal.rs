//! What a stand-in was asked, in order, for assertions. Nothing is forgotten until it is cleared.

use tokio::sync::watch;

/// Entries that one stand-in writes and any test reads.
#[derive(Debug)]
pub struct Journal<T>(watch::Sender<Vec<T>>);

impl<T: Clone> Journal<T> {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.send_modify(|entries| entries.push(entry));
    }

    /// All entries so far.
    pub fn entries(&self) -> Vec<T> {
        self.0.borrow().clone()
    }

    /// Forgets all entries.
    pub fn clear(&self) {
        self.0.send_modify(Vec::clear);
    }

    /// The entries, as soon as `enough` likes them. Waits for ever if it never does.
    pub async fn wait_for(&self, mut enough: impl FnMut(&[T]) -> bool) -> Vec<T> {
        let mut entries = self.0.subscribe();
        match entries.wait_for(|entries| enough(entries)).await {
            Ok(entries) => entries.clone(),
            // `self` holds the sender, so that it cannot be gone.
            Err(_) => self.entries(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_entry_that_was_waited_for() {
        let journal = Arc::new(Journal::new());
        let writer = Arc::clone(&journal);
        tokio::spawn(async move {
            for entry in 1..=3 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                writer.add(entry);
            }
        });
        assert_eq!(journal.wait_for(|entries| entries.len() == 2).await, [1, 2]);
    }

    #[test]
    fn what_is_cleared_is_forgotten() {
        let journal = Journal::new();
        journal.add("one");
        assert_eq!(journal.entries(), ["one"]);
        journal.clear();
        assert!(journal.entries().is_empty());
    }
}
