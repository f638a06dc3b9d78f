//! All objects, their one line of versions, and what happened to them.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::{
    clock::{Clock, spelled},
    shared::Shared,
};

use super::{
    kind::{Key, Kind},
    log::{Interrupt, Log, What},
    object::{Object, ObjectError, Version, merge},
    refusal::Refusal,
    shelf::{Announce, Shelf},
};

/// The version of an empty cluster: no small number that could be mistaken for something else.
const FIRST: Version = Version(1000);

struct Inner {
    version: Version,
    shelves: BTreeMap<Kind, Shelf>,
}

pub(super) struct Store {
    inner: Shared<Inner>,
    /// Where each log ends.
    pub(super) ends: BTreeMap<Kind, watch::Sender<u64>>,
    clock: Clock,
    history: usize,
}

/// What a list or a watch begins with.
pub(super) struct Snapshot {
    pub(super) version: Version,
    pub(super) objects: Vec<Arc<Object>>,
}

impl Store {
    /// Keeps `history` entries of each kind.
    pub(super) fn new(clock: Clock, history: usize) -> Self {
        let end = |kind| (kind, watch::Sender::new(0));
        Self {
            inner: Shared::new(Inner {
                version: FIRST,
                shelves: BTreeMap::new(),
            }),
            ends: Kind::ALL.into_iter().map(end).collect(),
            clock,
            history,
        }
    }

    pub(super) fn version(&self) -> Version {
        self.inner.with(|inner| inner.version)
    }

    pub(super) fn get(&self, kind: Kind, key: &Key) -> Option<Arc<Object>> {
        self.with(kind, |_, shelf| shelf.objects.get(key).cloned())
    }

    /// All objects of a kind, or those of a namespace.
    pub(super) fn list(&self, kind: Kind, namespace: &str) -> Snapshot {
        self.with(kind, |version, shelf| Snapshot {
            version: *version,
            objects: shelf.list(namespace),
        })
    }

    /// Creates or replaces an object.
    pub(super) fn put(&self, object: Object, announce: Announce) -> Version {
        let (kind, now) = (object.kind, spelled(self.clock.now()));
        self.change(kind, |version, shelf| {
            shelf.put(version, object, announce, &now)
        })
    }

    /// Creates an object, unless there is one.
    pub(super) fn create(&self, object: Object) -> Result<Arc<Object>, Refusal> {
        let (kind, now) = (object.kind, spelled(self.clock.now()));
        let key = object.key.clone();
        self.change(kind, |version, shelf| {
            if shelf.objects.contains_key(&key) {
                return Err(Refusal::already_exists(kind, &key.name));
            }
            shelf.put(version, object, Announce::Yes, &now);
            let created = shelf.objects.get(&key).cloned();
            created.ok_or_else(|| Refusal::not_found(kind, &key.name))
        })
    }

    /// Changes an object with a merge patch, if `check` likes what comes out. `None` if there is no such object.
    pub(super) fn patch<E: From<ObjectError>>(
        &self,
        kind: Kind,
        key: &Key,
        patch: &Map<String, Value>,
        check: impl FnOnce(&Object, &Object) -> Result<(), E>,
    ) -> Option<Result<Arc<Object>, E>> {
        let edit = |fields: &mut Map<String, Value>| {
            merge(fields, patch);
            Ok(())
        };
        self.edit(kind, key, edit, check)
    }

    /// Changes an object with `edit`, if `check` likes what comes out. `None` if there is no such object.
    pub(super) fn edit<E: From<ObjectError>>(
        &self,
        kind: Kind,
        key: &Key,
        edit: impl FnOnce(&mut Map<String, Value>) -> Result<(), E>,
        check: impl FnOnce(&Object, &Object) -> Result<(), E>,
    ) -> Option<Result<Arc<Object>, E>> {
        let now = spelled(self.clock.now());
        self.change(kind, |version, shelf| {
            let before = Arc::clone(shelf.objects.get(key)?);
            let mut fields = before.fields().clone();
            let edited = edit(&mut fields)
                .and_then(|()| Object::of_kind(kind, fields).map_err(E::from))
                .and_then(|after| check(&before, &after).map(|()| after));
            let after = match edited {
                Ok(after) => after,
                Err(error) => return Some(Err(error)),
            };
            shelf.put(version, after, Announce::Yes, &now);
            shelf.objects.get(key).cloned().map(Ok)
        })
    }

    /// Removes an object. `None` if there is none.
    pub(super) fn delete(&self, kind: Kind, key: &Key, announce: Announce) -> Option<Version> {
        self.change(kind, |version, shelf| shelf.delete(version, key, announce))
    }

    /// Says something to the running watches of a kind.
    pub(super) fn tell(&self, kind: Kind, what: What) {
        self.change(kind, |version, shelf| shelf.log.push(*version, what));
    }

    /// Forgets how things came to be as they are: no watch can resume from before.
    pub(super) fn compact(&self) {
        for kind in Kind::ALL {
            self.with(kind, |version, shelf| shelf.log.compact(*version));
        }
    }

    /// Forgets everything, as after the loss of etcd. Running watches break.
    pub(super) fn reset(&self) {
        self.inner.with(|inner| inner.version = FIRST);
        for kind in Kind::ALL {
            self.change(kind, |version, shelf| {
                shelf.objects.clear();
                shelf.log.restart(*version);
                shelf.log.push(*version, What::Interrupt(Interrupt::Break));
            });
        }
    }

    pub(super) fn with<R>(
        &self,
        kind: Kind,
        look: impl FnOnce(&mut Version, &mut Shelf) -> R,
    ) -> R {
        self.inner.with(|inner| {
            let version = &mut inner.version;
            let shelf = inner
                .shelves
                .entry(kind)
                .or_insert_with(|| Shelf::new(Log::new(self.history, FIRST)));
            look(version, shelf)
        })
    }

    /// The same, and wakes the watches.
    fn change<R>(&self, kind: Kind, change: impl FnOnce(&mut Version, &mut Shelf) -> R) -> R {
        let (result, end) = self.with(kind, |version, shelf| {
            let result = change(version, shelf);
            (result, shelf.log.end())
        });
        if let Some(ends) = self.ends.get(&kind) {
            // Another change may have been faster here.
            ends.send_modify(|known| *known = end.max(*known));
        }
        result
    }
}

#[cfg(test)]
mod tests;
