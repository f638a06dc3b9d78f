//! How a stand-in is told to misbehave: a list of rules, which may be changed while it runs.

use std::ops::ControlFlow;

use crate::shared::Shared;

/// A rule that may be for so many requests only.
pub(crate) trait Counted {
    /// For how many more; for all, if it does not say.
    fn times(&mut self) -> &mut Option<u32>;
}

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

    /// Plays those that `fit` a request, in their order, until one says that this is enough. Each that was played counts,
    /// and goes when it has had its times.
    pub(crate) fn play(
        &self,
        fit: impl Fn(&R) -> bool,
        mut play: impl FnMut(&mut R) -> ControlFlow<()>,
    ) where
        R: Counted,
    {
        self.0.with(|rules| {
            for rule in rules.iter_mut().filter(|rule| fit(rule)) {
                if *rule.times() == Some(0) {
                    continue;
                }
                *rule.times() = rule.times().map(|times| times.saturating_sub(1));
                if play(rule).is_break() {
                    break;
                }
            }
            rules.retain_mut(|rule| *rule.times() != Some(0));
        });
    }
}
