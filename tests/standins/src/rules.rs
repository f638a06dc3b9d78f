//! How a stand-in is told to misbehave: a list of rules, which may be changed while it runs.

use crate::shared::Shared;

/// The rules in force. Earlier ones come first.
#[derive(Debug)]
pub struct Rules<R>(Shared<Vec<R>>);

impl<R: Clone> Rules<R> {
    pub(crate) const fn new(rules: Vec<R>) -> Self {
        Self(Shared::new(rules))
    }

    /// Puts these in the place of all others.
    pub fn set(&self, rules: Vec<R>) {
        self.0.with(|current| *current = rules);
    }

    /// Adds one, behind all others.
    pub fn add(&self, rule: R) {
        self.0.with(|rules| rules.push(rule));
    }

    /// Removes all.
    pub fn clear(&self) {
        self.set(Vec::new());
    }

    /// What is in force, with how often each still counts.
    pub fn entries(&self) -> Vec<R> {
        self.0.with(|rules| rules.clone())
    }

    /// All of them, to be used up.
    pub(crate) fn with<T>(&self, use_up: impl FnOnce(&mut Vec<R>) -> T) -> T {
        self.0.with(use_up)
    }
}
