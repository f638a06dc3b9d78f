//! Where a watch has got to in the log of its kind.

use std::sync::Arc;

use tokio::sync::watch;

use super::{
    kind::Kind,
    log::{Entry, What},
    object::Version,
    refusal::Refusal,
    store::{Snapshot, Store},
};

/// How many entries a watch takes at a time.
const AT_ONCE: usize = 256;

/// A place in a log.
pub(super) struct Place {
    kind: Kind,
    next: u64,
    /// What is before this place and only for running watches is for others.
    joined: u64,
    ends: watch::Receiver<u64>,
}

/// What came since the last look.
pub(super) struct News {
    pub(super) entries: Vec<Arc<Entry>>,
    /// Everything up to here is known now.
    pub(super) version: Version,
}

impl Store {
    /// What there is, and the place from which on it changes.
    pub(super) fn join(&self, kind: Kind, namespace: &str) -> (Snapshot, Place) {
        let ends = self.ends(kind);
        self.with(kind, |version, shelf| {
            let snapshot = Snapshot {
                version: *version,
                objects: shelf.list(namespace),
            };
            let next = shelf.log.end();
            let place = Place {
                kind,
                next,
                joined: next,
                ends,
            };
            (snapshot, place)
        })
    }

    /// The place behind `since`.
    pub(super) fn resume(&self, kind: Kind, since: Version) -> Result<Place, Refusal> {
        let ends = self.ends(kind);
        self.with(kind, |_, shelf| {
            let next = shelf.log.after(since);
            Ok(Place {
                kind,
                next: next.ok_or_else(|| Refusal::too_old(since, shelf.log.oldest()))?,
                joined: shelf.log.end(),
                ends,
            })
        })
    }

    /// What came since the last look at `place`. `None` if it came too fast.
    pub(super) fn news(&self, place: &mut Place) -> Option<News> {
        let (read, version, end) = self.with(place.kind, |version, shelf| {
            let read = shelf.log.read(place.next, AT_ONCE);
            (read, *version, shelf.log.end())
        });
        let first = place.next;
        let mut entries = read?;
        place.next += entries.len() as u64;
        let last = entries.last().map(|entry| entry.version);
        let joined = place.joined;
        let mut at = first..;
        entries.retain(|entry| {
            let live = matches!(entry.what, What::Told(..) | What::Interrupt(_));
            at.next() >= Some(joined) || !live
        });
        let drained = place.next == end;
        Some(News {
            entries,
            version: if drained {
                version
            } else {
                last.unwrap_or(version)
            },
        })
    }

    fn ends(&self, kind: Kind) -> watch::Receiver<u64> {
        // Every kind has an end from the beginning.
        let missing = || watch::Sender::new(0).subscribe();
        self.ends
            .get(&kind)
            .map_or_else(missing, watch::Sender::subscribe)
    }
}

impl Place {
    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns when there may be news.
    pub(super) async fn wait(&mut self) {
        let next = self.next;
        let news = self.ends.wait_for(|end| *end > next).await.is_ok();
        if !news {
            // The store is gone; so will be whoever waits.
            std::future::pending::<()>().await;
        }
    }
}
