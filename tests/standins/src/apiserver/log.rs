//! What happened to the objects of one kind, as far back as it is kept.
//!
//! Every watch reads it at its own pace. What is only for running watches stands in it too, so that all of them see
//! everything in the same order.

use std::{collections::VecDeque, sync::Arc};

use serde::{Deserialize, Serialize};

use super::object::{Object, Version};

/// What a watch says that became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// What becomes of all running watches of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interrupt {
    /// They get a bookmark, if they asked for bookmarks.
    Bookmark,
    /// They end well, as at their timeout.
    End,
    /// They get an error event with code 410, and end.
    Expire,
    /// Their connections are closed in the middle.
    Break,
}

/// What stands in the log.
pub(super) enum What {
    Put {
        before: Option<Arc<Object>>,
        after: Arc<Object>,
    },
    /// The last state, at the version of the deletion.
    Deleted(Arc<Object>),
    /// An event that running watches get as it is, true or not.
    Told(Change, Arc<Object>),
    Interrupt(Interrupt),
}

pub(super) struct Entry {
    pub(super) version: Version,
    pub(super) what: What,
}

pub(super) struct Log {
    entries: VecDeque<Arc<Entry>>,
    /// The place of the first entry. Places are counted from the beginning of time.
    first: u64,
    /// Changes after this version are all here.
    oldest: Version,
    capacity: usize,
}

impl Log {
    pub(super) const fn new(capacity: usize, now: Version) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            oldest: now,
            capacity,
        }
    }

    pub(super) fn push(&mut self, version: Version, what: What) {
        self.entries.push_back(Arc::new(Entry { version, what }));
        while self.entries.len() > self.capacity {
            self.forget_first();
        }
    }

    /// The place behind the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Changes after this version are all here.
    pub(super) const fn oldest(&self) -> Version {
        self.oldest
    }

    /// The place of what came after `version`; `None` if that is not all here.
    pub(super) fn after(&self, version: Version) -> Option<u64> {
        let known = self
            .entries
            .partition_point(|entry| entry.version <= version);
        (version >= self.oldest).then_some(self.first + known as u64)
    }

    /// At most `max` entries from `place` on; `None` if they are not here any more.
    pub(super) fn read(&self, place: u64, max: usize) -> Option<Vec<Arc<Entry>>> {
        let skipped = usize::try_from(place.checked_sub(self.first)?).ok()?;
        Some(
            self.entries
                .iter()
                .skip(skipped)
                .take(max)
                .cloned()
                .collect(),
        )
    }

    /// Forgets all that is older than `now`. Running watches lose nothing: what they have not read, they do not need
    /// to resume from.
    pub(super) const fn compact(&mut self, now: Version) {
        self.oldest = now;
    }

    /// Forgets everything. `now` is where it begins anew.
    pub(super) fn restart(&mut self, now: Version) {
        self.first = self.end();
        self.entries.clear();
        self.oldest = now;
    }

    fn forget_first(&mut self) {
        if let Some(gone) = self.entries.pop_front() {
            self.first += 1;
            self.oldest = self.oldest.max(gone.version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(versions: &[u64], capacity: usize) -> Log {
        let mut log = Log::new(capacity, Version(10));
        for version in versions {
            log.push(Version(*version), What::Interrupt(Interrupt::Bookmark));
        }
        log
    }

    #[test]
    fn a_place_is_behind_what_is_known() {
        let log = log(&[11, 13, 13, 15], 10);
        for (version, place) in [
            (9, None),
            (10, Some(0)),
            (11, Some(1)),
            (12, Some(1)),
            (13, Some(3)),
            (15, Some(4)),
            (99, Some(4)),
        ] {
            assert_eq!(log.after(Version(version)), place, "{version}");
        }
    }

    #[test]
    fn what_does_not_fit_is_forgotten_and_known_to_be() {
        let log = log(&[11, 12, 13, 14], 2);
        assert_eq!(log.after(Version(11)), None);
        assert_eq!(log.after(Version(12)), Some(2));
        assert!(log.read(1, 9).is_none(), "a reader that was too slow");
        let versions = |place| {
            let entries = log.read(place, 9).unwrap();
            entries
                .iter()
                .map(|entry| entry.version.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(versions(2), [13, 14]);
        assert_eq!(versions(4), [] as [u64; 0]);
    }

    #[test]
    fn readers_get_no_more_than_they_can_take() {
        let log = log(&[11, 12, 13], 10);
        assert_eq!(log.read(0, 2).unwrap().len(), 2);
    }
}
