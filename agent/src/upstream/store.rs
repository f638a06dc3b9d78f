//! What was read, and for how long it is good; what failed, and for how long that is the answer. Pure, and bounded.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::metadata::Freshness;

use super::{Item, http::Failure, pause::Pause};

/// So many paths are remembered, beside those that always are.
const MOST: usize = 256;
/// For how long a value is good that never changes: what was wrong about that is mended within an hour.
pub(super) const LASTING: Duration = Duration::from_hours(1);
/// For how long any other is, and that there is none.
pub(super) const BRIEF: Duration = Duration::from_secs(5);

/// What is remembered.
#[derive(Debug)]
pub(super) struct Store {
    /// Paths that nothing displaces.
    pinned: &'static [&'static str],
    entries: HashMap<Arc<str>, Entry>,
    /// How often it was asked: who was asked for longest ago goes first.
    uses: u64,
}

#[derive(Debug, Default)]
struct Entry {
    known: Option<Known>,
    pause: Option<Pause>,
    used: u64,
}

#[derive(Debug)]
struct Known {
    /// None where there is nothing.
    item: Option<Item>,
    until: Instant,
    freshness: Freshness,
}

/// What is known of a path.
#[derive(Debug)]
pub(super) enum Look {
    /// This, and it is good.
    Good(Option<Item>),
    /// The service was asked a moment ago, and this came of it.
    Failing(Arc<Failure>),
    /// Nothing that is good.
    Nothing,
}

impl Store {
    pub(super) fn new(pinned: &'static [&'static str]) -> Self {
        Self {
            pinned,
            entries: HashMap::new(),
            uses: 0,
        }
    }

    /// Whether what is at `path` is always remembered.
    pub(super) fn is_pinned(&self, path: &str) -> bool {
        self.pinned.contains(&path)
    }

    /// What is known of what is at `path`.
    pub(super) fn look(&mut self, path: &str, now: Instant) -> Look {
        self.uses += 1;
        let Some(entry) = self.entries.get_mut(path) else {
            return Look::Nothing;
        };
        entry.used = self.uses;
        if let Some(known) = entry.known.as_ref().filter(|known| now < known.until) {
            return Look::Good(known.item.clone());
        }
        let failing = entry.pause.as_ref().and_then(|pause| pause.answer(now));
        failing.map_or(Look::Nothing, Look::Failing)
    }

    /// What was at `path`, if it is something that never changes.
    pub(super) fn old(&self, path: &str) -> Option<Item> {
        let known = self.entries.get(path)?.known.as_ref()?;
        known.item.clone().filter(|_| known.lasts())
    }

    /// Takes note of what asking for `path` gave.
    pub(super) fn learn(
        &mut self,
        path: &Arc<str>,
        freshness: Freshness,
        answer: &Result<Option<Item>, Arc<Failure>>,
        now: Instant,
    ) {
        match answer {
            // Somebody else's turn will come.
            Err(failure) if matches!(**failure, Failure::Busy | Failure::Lost) => return,
            Ok(_) if freshness == Freshness::Never => {
                self.entries.remove(path);
                return;
            }
            Ok(_) | Err(_) => {}
        }
        self.uses += 1;
        let entry = self.entries.entry(Arc::clone(path)).or_default();
        entry.used = self.uses;
        match answer {
            Ok(item) => {
                entry.known = Some(Known::new(item.clone(), freshness, now));
                entry.pause = None;
            }
            Err(failure) => {
                let before = entry.pause.as_ref();
                entry.pause = Some(Pause::after(Arc::clone(failure), before, now));
            }
        }
        self.make_room(now);
    }

    fn make_room(&mut self, now: Instant) {
        let others = self.entries.iter();
        let others: Vec<_> = others.filter(|(path, _)| !self.is_pinned(path)).collect();
        if others.len() <= MOST {
            return;
        }
        let least = others
            .into_iter()
            .min_by_key(|(_, entry)| (entry.is_of_use(now), entry.used));
        if let Some((path, _)) = least {
            let path = Arc::clone(path);
            self.entries.remove(&path);
        }
    }

    /// How many paths are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    /// Whether somebody who asks would get something of it.
    fn is_of_use(&self, now: Instant) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| now < known.until || known.lasts())
    }
}

impl Known {
    fn new(item: Option<Item>, freshness: Freshness, now: Instant) -> Self {
        let good = match (freshness, &item) {
            (Freshness::Lasting, Some(_)) => LASTING,
            // What is not there on a young instance may come.
            (Freshness::Lasting | Freshness::Brief, _) => BRIEF,
            (Freshness::Never, _) => Duration::ZERO,
        };
        Self {
            item,
            until: now + good,
            freshness,
        }
    }

    fn lasts(&self) -> bool {
        self.freshness == Freshness::Lasting && self.item.is_some()
    }
}

#[cfg(test)]
mod tests;
