//! The objects of one kind, and what happened to them.

use std::{collections::BTreeMap, sync::Arc};

use crate::random;

use super::{
    kind::Key,
    log::{Log, What},
    object::{Object, Version},
};

/// Whether running watches hear of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announce {
    Yes,
    /// Nobody hears of it: only who lists again will see it.
    No,
}

/// The objects of one kind.
pub(super) struct Shelf {
    pub(super) objects: BTreeMap<Key, Arc<Object>>,
    pub(super) log: Log,
}

const UID: &[&str] = &["metadata", "uid"];
const CREATED: &[&str] = &["metadata", "creationTimestamp"];

impl Shelf {
    pub(super) const fn new(log: Log) -> Self {
        Self {
            objects: BTreeMap::new(),
            log,
        }
    }

    /// All objects, or those of a namespace.
    pub(super) fn list(&self, namespace: &str) -> Vec<Arc<Object>> {
        if namespace.is_empty() {
            return self.objects.values().cloned().collect();
        }
        let from = self.objects.range(Key::new(namespace, "")..);
        from.take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Creates or replaces an object, at the version after `version`.
    pub(super) fn put(
        &mut self,
        version: &mut Version,
        mut object: Object,
        announce: Announce,
        now: &str,
    ) -> Version {
        let mut before = self.objects.get(&object.key).cloned();
        let new = object.text(UID);
        if before
            .as_ref()
            .is_some_and(|before| !new.is_empty() && before.text(UID) != new)
        {
            // Another object of the same name: no watch ever sees one become the other.
            self.delete(version, &object.key, announce);
            before = None;
        }
        let old = |path| before.as_ref().map(|before| before.text(path).to_owned());
        object.default_metadata("uid", || old(UID).unwrap_or_else(random::request_id));
        object.default_metadata("creationTimestamp", || {
            old(CREATED).unwrap_or_else(|| now.to_owned())
        });
        version.0 += 1;
        object.set_version(*version);
        let after = Arc::new(object);
        self.objects.insert(after.key.clone(), Arc::clone(&after));
        if announce == Announce::Yes {
            self.log.push(*version, What::Put { before, after });
        }
        *version
    }

    /// Removes an object. `None` if there is none.
    pub(super) fn delete(
        &mut self,
        version: &mut Version,
        key: &Key,
        announce: Announce,
    ) -> Option<Version> {
        let last = self.objects.remove(key)?;
        version.0 += 1;
        if announce == Announce::Yes {
            let last = Arc::new(last.at(*version));
            self.log.push(*version, What::Deleted(last));
        }
        Some(*version)
    }
}
