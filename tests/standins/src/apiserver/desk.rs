//! Everything that a test can do to the API server, from Rust and from the control listener.

use std::sync::Arc;

use serde_json::Value;

use super::{
    door::Door,
    kind::{Key, Kind},
    log::{Change, Interrupt, What},
    object::{Object, ObjectError, Version},
    service::State,
    shelf::Announce,
};

/// The API server, and its door.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) state: Arc<State>,
    pub(super) door: Arc<Door>,
}

impl Desk {
    /// Creates or replaces an object.
    pub(super) fn put(&self, value: Value, announce: Announce) -> Result<Version, ObjectError> {
        Ok(self.state.store.put(Object::parse(value)?, announce))
    }

    /// Changes an object with a merge patch.
    pub(super) fn patch(
        &self,
        kind: Kind,
        key: &Key,
        patch: &Value,
    ) -> Result<Version, ObjectError> {
        let patch = patch.as_object().ok_or(ObjectError::NotAnObject)?;
        let anything = |_: &Object, _: &Object| Ok(());
        let patched = self.state.store.patch(kind, key, patch, anything);
        let patched = patched.ok_or_else(|| missing(kind, key))??;
        Ok(patched.version)
    }

    /// Removes an object.
    pub(super) fn delete(
        &self,
        kind: Kind,
        key: &Key,
        announce: Announce,
    ) -> Result<Version, ObjectError> {
        let deleted = self.state.store.delete(kind, key, announce);
        deleted.ok_or_else(|| missing(kind, key))
    }

    /// Sends an event to running watches, true or not.
    pub(super) fn tell(&self, change: Change, object: Value) -> Result<(), ObjectError> {
        let object = Object::parse(object)?;
        let kind = object.kind;
        self.state
            .store
            .tell(kind, What::Told(change, Arc::new(object)));
        Ok(())
    }

    pub(super) fn interrupt(&self, kind: Kind, interrupt: Interrupt) {
        self.state.store.tell(kind, What::Interrupt(interrupt));
    }

    /// Forgets all versions before this one: pages of lists, and from where watches could resume.
    pub(super) fn compact(&self) {
        self.state.store.compact();
        self.state.pages.forget();
    }

    pub(super) fn reset(&self) {
        self.state.store.reset();
        self.state.pages.forget();
    }
}

pub(super) fn missing(kind: Kind, key: &Key) -> ObjectError {
    ObjectError::Missing {
        kind,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}
