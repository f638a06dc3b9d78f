//! What was told, and when. Pure.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use crate::id::PodUid;

use super::{Notice, Reason};

/// What lasts is told again after this time. An Event is forgotten by the API server after an hour.
const AGAIN: Duration = Duration::from_mins(10);

/// What nobody heard is told again after this time, and after twice as much each time that nobody hears it, ...
const SOON: Duration = Duration::from_mins(1);

/// ... but not more often doubled than this.
const DOUBLED: u32 = 3;

/// So many are remembered. A node has 110 pods, unless told otherwise.
const MOST: usize = 4096;

/// The notices that are out. What went a short while ago counts among them: what comes and goes is not told each time.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Topic, Telling>);

type Topic = (PodUid, Reason, Arc<str>);

#[derive(Debug)]
struct Telling {
    last: Instant,
    /// From then on, how long nothing is said of it.
    quiet: Duration,
    times: u32,
    /// How often, one after the other, nobody heard it.
    unheard: u32,
}

/// A notice that is to be told now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) notice: Notice,
    pub(super) occasion: Occasion,
}

/// Why now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// It was not there before.
    New,
    /// It lasts, or was not heard.
    Again,
}

impl Told {
    /// Those of the `present` notices that are to be told now. Nothing is remembered of pods that are not `alive`.
    pub(super) fn due(
        &mut self,
        present: Vec<Notice>,
        alive: &HashSet<PodUid>,
        now: Instant,
    ) -> Vec<Due> {
        let recent = |telling: &Telling| now.duration_since(telling.last) < AGAIN;
        let lasting: HashSet<Topic> = present.iter().map(topic).collect();
        self.0.retain(|topic, telling| {
            alive.contains(&topic.0) && (lasting.contains(topic) || recent(telling))
        });
        self.make_room(&lasting);
        let due = present
            .into_iter()
            .filter_map(|notice| self.tell(notice, now));
        due.collect()
    }

    /// Nobody heard `notice` when it was told.
    pub(super) fn unheard(&mut self, notice: &Notice, now: Instant) {
        if let Some(telling) = self.0.get_mut(&topic(notice)) {
            telling.last = now;
            telling.quiet = SOON * 2_u32.pow(telling.unheard.min(DOUBLED));
            telling.unheard = telling.unheard.saturating_add(1);
            telling.times = telling.times.saturating_sub(1);
        }
    }

    /// Forgets, of what is gone, the oldest, so that all that is new finds a place.
    fn make_room(&mut self, lasting: &HashSet<Topic>) {
        let new = lasting.iter().filter(|topic| !self.0.contains_key(*topic));
        let over = (self.0.len() + new.count()).saturating_sub(MOST);
        if over == 0 {
            return;
        }
        let gone = self.0.iter().filter(|(topic, _)| !lasting.contains(*topic));
        let mut gone: Vec<(Instant, Topic)> = gone
            .map(|(topic, telling)| (telling.last, topic.clone()))
            .collect();
        gone.sort_unstable_by_key(|(last, _)| *last);
        for (_, topic) in gone.into_iter().take(over) {
            self.0.remove(&topic);
        }
    }

    fn tell(&mut self, notice: Notice, now: Instant) -> Option<Due> {
        let topic = topic(&notice);
        let Some(telling) = self.0.get_mut(&topic) else {
            // What lasts keeps its place: if it lost it, it would be new again the next time.
            return (self.0.len() < MOST).then(|| {
                self.0.insert(topic, Telling::first(now));
                let notice = Notice { times: 1, ..notice };
                Due {
                    notice,
                    occasion: Occasion::New,
                }
            });
        };
        (now.duration_since(telling.last) >= telling.quiet).then(|| {
            let times = telling.again(now);
            Due {
                notice: Notice { times, ..notice },
                occasion: Occasion::Again,
            }
        })
    }
}

impl Telling {
    const fn first(now: Instant) -> Self {
        Self {
            last: now,
            quiet: AGAIN,
            times: 1,
            unheard: 0,
        }
    }

    /// It is told once more; the answer is how often it was told then.
    fn again(&mut self, now: Instant) -> u32 {
        if self.quiet == AGAIN {
            // The last time it was heard.
            self.unheard = 0;
        }
        self.last = now;
        self.quiet = AGAIN;
        self.times = self.times.saturating_add(1);
        self.times
    }
}

fn topic(notice: &Notice) -> Topic {
    (notice.uid, notice.reason, Arc::clone(&notice.note))
}

#[cfg(test)]
mod tests;
