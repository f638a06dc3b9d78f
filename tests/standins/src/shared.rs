//! State that several connections change: locked for the length of one closure, never across an await.

use std::sync::{Mutex, PoisonError};

/// A value behind a lock.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    /// Takes the value.
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Looks at the value, or changes it.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        // A test that panicked elsewhere says so by itself.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
