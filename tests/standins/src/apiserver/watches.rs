//! The watches that are running, for tests that wait for them.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::kind::Kind;

type Running = Arc<watch::Sender<BTreeMap<Kind, usize>>>;

/// How many watches of each kind are running.
#[derive(Debug)]
pub struct Watches(Running);

/// One of them.
pub(super) struct Open(Kind, Running);

impl Watches {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    pub(super) fn open(&self, kind: Kind) -> Open {
        self.0
            .send_modify(|running| *running.entry(kind).or_default() += 1);
        Open(kind, Arc::clone(&self.0))
    }

    /// How many watches of `kind` are running.
    pub fn running(&self, kind: Kind) -> usize {
        self.0.borrow().get(&kind).copied().unwrap_or_default()
    }

    /// How many watches of each kind are running.
    pub fn all(&self) -> BTreeMap<Kind, usize> {
        self.0.borrow().clone()
    }

    /// Returns as soon as `count` watches of `kind` are running.
    pub async fn wait_for(&self, kind: Kind, count: usize) {
        let mut running = self.0.subscribe();
        let there =
            |running: &BTreeMap<_, _>| running.get(&kind).copied().unwrap_or_default() == count;
        // `self` holds the sender, so that it cannot be gone.
        let _there = running.wait_for(there).await.is_ok();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.1.send_modify(|running| {
            if let Some(count) = running.get_mut(&self.0) {
                *count = count.saturating_sub(1);
            }
        });
    }
}
