//! The credentials of every identity that a pod of this node may have, in memory.
//!
//! A task for each identity keeps its credentials fresh; what it has is read through a watch. So asking
//! never calls STS, one call serves all who ask at a time, and nobody who gives up waiting takes the call
//! down with him. The guarantees of what is read are those of [`State`].

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::{sync::watch, task::AbortHandle};

use crate::clock::Clock;

use super::{
    Identity, Metrics, Source, SourceError, State, Wanted,
    board::Readers,
    holdings::Holdings,
    keeper::{Keeper, Office},
    schedule::Beginning,
};

/// The cache. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    office: Arc<Office>,
    /// Each request looks into it: readers must not wait for each other, for one of them may have lost its CPU.
    entries: RwLock<HashMap<Identity, Entry>>,
}

#[derive(Debug)]
struct Entry {
    readers: Readers,
    task: AbortHandle,
}

/// How it stands with an identity, for people.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose credentials.
    pub identity: Identity,
    /// What pods are given now.
    pub state: State,
    /// Why the last attempt failed, if it did; pods may have valid keys all the same.
    pub failure: Option<Arc<SourceError>>,
    /// How many attempts have failed since the last good one.
    pub failures: u32,
    /// When the next attempt is made; none while one waits for its turn or is under way.
    pub next: Option<Timestamp>,
}

impl Status {
    /// Whether pods have keys.
    pub const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready(_))
    }

    /// Whether pods have keys, or STS has said that they get none until somebody changes something.
    pub fn is_settled(&self) -> bool {
        let said = SourceError::is_final;
        match &self.state {
            State::Ready(_) => true,
            State::Failed(error) => said(error),
            State::Fetching => self.failure.as_deref().is_some_and(said),
        }
    }
}

impl Cache {
    /// An empty cache over `source`.
    pub fn new(source: impl Source, clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Inner {
            office: Arc::new(Office::new(source, clock, metrics)),
            entries: RwLock::default(),
        }))
    }

    /// What there is for `identity`, now and from now on. If there are no keys yet, they are fetched as for one who
    /// waits. If nobody asked before, its task is started; that takes a tokio runtime.
    ///
    /// Meant for one request: once no pod needs the identity any more it ends with [`State::Failed`].
    pub fn watch(&self, identity: &Identity) -> watch::Receiver<State> {
        let alive = |entries: &HashMap<_, Entry>| {
            let entry = entries.get(identity)?;
            // A finished task has panicked. Whoever asks starts another.
            (!entry.task.is_finished()).then(|| entry.readers.ask())
        };
        let found = alive(&self.entries());
        if let Some(states) = found {
            return states;
        }
        let mut entries = self.entries_mut();
        alive(&entries).unwrap_or_else(|| self.start(&mut entries, identity, Beginning::New))
    }

    /// Keeps the credentials of `wanted`, and of nobody else: starts what is missing, ends what is left over.
    pub fn retain(&self, wanted: &Wanted) {
        let mut entries = self.entries_mut();
        entries
            .retain(|identity, entry| wanted.contains_key(identity) && !entry.task.is_finished());
        for (identity, beginning) in wanted {
            if !entries.contains_key(identity) {
                drop(self.start(&mut entries, identity, *beginning));
            }
        }
        drop(entries);
        self.0.office.retain(wanted);
    }

    /// How it stands with every identity, in no order.
    pub fn snapshot(&self) -> Vec<Status> {
        let entries = self.entries();
        entries
            .iter()
            .map(|(identity, entry)| entry.status(identity.clone()))
            .collect()
    }

    /// Adds gauges of what is held to `registry`. What is done to hold it is in [`Metrics`].
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(Holdings(self.clone())));
    }

    /// How many calls wait for their turn, and how many are under way.
    pub(super) fn load(&self) -> (u64, u64) {
        self.0.office.load()
    }

    /// What time it is for this cache.
    pub(super) fn now(&self) -> Timestamp {
        self.0.office.clock.now()
    }

    fn start(
        &self,
        entries: &mut HashMap<Identity, Entry>,
        identity: &Identity,
        beginning: Beginning,
    ) -> watch::Receiver<State> {
        let office = Arc::clone(&self.0.office);
        let (keeper, readers) = Keeper::new(identity.clone(), beginning, office);
        let task = tokio::spawn(keeper.run()).abort_handle();
        let states = readers.states.clone();
        entries.insert(identity.clone(), Entry { readers, task });
        states
    }

    // Nothing panics while these are held, and every change leaves a whole map.

    fn entries(&self) -> RwLockReadGuard<'_, HashMap<Identity, Entry>> {
        let entries = self.0.entries.read();
        entries.unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, HashMap<Identity, Entry>> {
        let entries = self.0.entries.write();
        entries.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn status(&self, identity: Identity) -> Status {
        let progress = self.readers.progress.borrow().clone();
        Status {
            identity,
            state: self.readers.states.borrow().clone(),
            failure: progress.failure,
            failures: progress.failures,
            next: progress.next,
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
