//! Paths that somebody allows to pods beside those that all of them may read.

use super::Glob;

/// What somebody allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Vec<Glob>);

/// An entry that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {reason}")]
pub struct InvalidAllow {
    /// The entry, shortened.
    pub entry: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Allow {
    /// Understands entries, each a path with or without a version before it.
    pub fn parse<'a>(_entries: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidAllow> {
        Ok(Self::default())
    }
}

/// What a pod may see: what all may, and what is allowed to it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// By the operator.
    pub operator: &'a Allow,
    /// By its namespace.
    pub namespace: &'a Allow,
}

impl View<'_> {
    /// Whether it may read what is at `path`.
    pub fn may_read(&self, _path: &str) -> bool {
        false
    }

    /// Whether there is something below `directory` that it may read: then `directory` is one, and may be listed.
    pub fn may_list(&self, _directory: &str) -> bool {
        false
    }
}
