//! How far we know all objects of a kind.

use super::Version;

/// How far we know them.
#[derive(Debug)]
pub(super) struct Listed<T> {
    /// What the list that is under way has told, if another one was complete before.
    pending: Option<T>,
    /// All that happened until this version is known.
    reached: Option<Version>,
    /// While nothing is told: whoever was there at this version, was there when all was still told.
    lost: Option<Version>,
}

/// What a list, as it begins, finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// All that was there, which stays until the list is complete.
    Everything,
    /// Nothing, or no more than another list had that came to no end.
    Nothing,
}

impl<T: Default> Listed<T> {
    /// All objects follow. The first ones are not kept twice: in memory that would leave as many holes as objects.
    pub(super) fn restart(&mut self) -> Before {
        self.pending = self.reached.map(|_| T::default());
        match self.pending {
            Some(_) => Before::Everything,
            None => Before::Nothing,
        }
    }

    /// Those were all: they.
    pub(super) fn complete(&mut self, version: Version) -> Option<T> {
        self.reached = Some(version);
        self.lost = None;
        self.pending.take()
    }

    /// The list that is under way, if another one was complete before.
    pub(super) const fn pending(&mut self) -> Option<&mut T> {
        self.pending.as_mut()
    }

    /// All is known until `version`, and told again. Before the first list is complete, nothing is reached.
    pub(super) const fn reach(&mut self, version: Version) {
        if self.reached.is_some() {
            self.reached = Some(version);
            self.lost = None;
        }
    }

    /// Nothing is told for now. The pods are known until `pods`.
    pub(super) fn lose(&mut self, pods: Option<Version>) {
        if self.lost.is_none() {
            self.lost = self.reached.max(pods);
        }
    }

    /// Until when all is known.
    pub(super) const fn reached(&self) -> Option<Version> {
        self.reached
    }

    /// Whether what is not known was not there, at some time after `since`.
    pub(super) fn is_past(&self, since: Version) -> bool {
        self.reached >= Some(since)
    }

    /// Whether what is known is so for a pod that came at `since`: nothing, or not much, can have changed unheard.
    pub(super) fn is_so_at(&self, since: Version) -> bool {
        self.reached.is_some() && self.lost.is_none_or(|lost| since <= lost)
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            pending: None,
            reached: None,
            lost: None,
        }
    }
}
