//! Whether the agent is ready, and if not, what it waits for.
//!
//! Each part that has to do something first holds a [`Guard`] until that is done. The agent is ready
//! while nobody holds one; a guard taken later (a drain, say) makes it unready again. Take the first
//! guard before anybody can ask: without any, it is ready.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells what is pending, and gives out guards.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<watch::Sender<Vec<&'static str>>>);

impl Readiness {
    /// Ready, until somebody takes a guard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the agent unready for the reason `name` until the guard is dropped.
    pub fn guard(&self, name: &'static str) -> Guard {
        self.0.send_modify(|pending| pending.push(name));
        Guard {
            name,
            readiness: self.clone(),
        }
    }

    /// What the agent waits for, in alphabetical order. Empty when it is ready.
    pub fn pending(&self) -> Vec<&'static str> {
        let mut names = self.0.borrow().clone();
        names.sort_unstable();
        names
    }

    /// Returns when nobody holds a guard of this name; at once if nobody does.
    pub async fn done(&self, name: &str) {
        let mut pending = self.0.subscribe();
        // It cannot fail: `self` holds the sender.
        let waits = |pending: &Vec<&str>| !pending.contains(&name);
        let _done = pending.wait_for(waits).await.is_ok();
    }

    /// Returns when nothing is pending; at once if nothing is.
    pub async fn ready(&self) {
        let mut pending = self.0.subscribe();
        // It cannot fail: `self` holds the sender.
        let _ready = pending.wait_for(Vec::is_empty).await.is_ok();
    }
}

/// Something that has to be done before the agent is ready. Dropped when it is done.
#[derive(Debug)]
#[must_use = "what is not held does not keep the agent unready"]
pub struct Guard {
    name: &'static str,
    readiness: Readiness,
}

impl Drop for Guard {
    fn drop(&mut self) {
        tracing::debug!(done = self.name, "one thing less to wait for");
        self.readiness.0.send_modify(|pending| {
            if let Some(at) = pending.iter().position(|name| *name == self.name) {
                pending.swap_remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pending_is_named_until_its_guard_is_dropped() {
        let readiness = Readiness::new();
        let pods = readiness.guard("pods");
        let listener = readiness.guard("listener");
        assert_eq!(readiness.pending(), ["listener", "pods"]);
        drop(pods);
        assert_eq!(readiness.pending(), ["listener"]);
        drop(listener);
        assert!(readiness.pending().is_empty());
    }

    #[test]
    fn two_guards_of_one_name_count_twice() {
        let readiness = Readiness::new();
        let (first, second) = (readiness.guard("pods"), readiness.guard("pods"));
        drop(second);
        assert_eq!(readiness.pending(), ["pods"]);
        drop(first);
        assert!(readiness.pending().is_empty());
    }

    #[tokio::test]
    async fn ready_waits_for_the_last_guard() {
        let readiness = Readiness::new();
        readiness.ready().await;
        let (pods, listener) = (readiness.guard("pods"), readiness.guard("listener"));
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        drop(pods);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(listener);
        waiting.await.unwrap();
    }

    #[test]
    fn a_guard_taken_later_makes_it_unready_again() {
        let readiness = Readiness::new();
        drop(readiness.guard("pods"));
        let _draining = readiness.guard("draining");
        assert_eq!(readiness.pending(), ["draining"]);
    }
}
