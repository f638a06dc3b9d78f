//! Which troubles there are, who has them, and what is to be said of them now. Pure.
//!
//! What is said has a bound, whatever tenants do: of troubles that everybody has there are a few, and all others share
//! the room that there is.

mod episode;
mod room;

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use super::{super::Identity, Held, topic::Topic};

use episode::{Due, Episode, Event};
use room::Room;

/// What lasts is said again after this time, with numbers.
const AGAIN: Duration = Duration::from_mins(10);

/// A trouble is not said to begin twice within this time. What may pass, and leaves everybody with valid keys, is not
/// said before it has lasted so long. And this much is between two lines when more and more have it.
const PAUSE: Duration = Duration::from_mins(1);

/// So many different words of STS for the same refusal are told apart.
const WORDS: usize = 4;

/// All troubles.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    standings: HashMap<Identity, Standing>,
    episodes: HashMap<Topic, Episode>,
    /// When what is over was last said to begin.
    past: HashMap<Topic, Instant>,
    /// For troubles that not everybody has.
    room: Room,
}

/// What is wrong with an identity, and what it has all the same.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) topic: Topic,
    pub(super) held: Held,
}

/// Something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// There is a trouble.
    Begins(Topic),
    /// For the first time in this trouble, keys have ended.
    KeysEnd(Topic, Tally),
    /// It is still there.
    Lasts(Topic, Tally),
    /// Nothing that was not said already.
    Unsaid,
    /// So many troubles were not said for want of room.
    NoRoom(usize),
    /// It is over.
    Over(Topic, End, Tally),
}

/// How large a trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    /// Since when.
    pub(super) lasted: Duration,
    /// How many have it.
    pub(super) identities: usize,
    /// How many of them have no keys.
    pub(super) without_keys: usize,
}

/// How a trouble ends for an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// It has another one.
    Moved,
    /// Nobody needs it any more.
    Gone,
    /// There are keys.
    Works,
}

impl Ledger {
    /// An attempt for `identity` failed, or its keys have ended; now it stands like this.
    pub(super) fn failed(
        &mut self,
        identity: &Identity,
        Standing { topic, held }: Standing,
        now: Instant,
    ) -> Vec<Line> {
        let topic = self.bounded(topic);
        let standing = Standing {
            topic: topic.clone(),
            held,
        };
        let before = self.standings.insert(identity.clone(), standing);
        let had = before.as_ref().map(|before| before.held);
        let mut lines = Vec::new();
        match before {
            Some(before) if before.topic == topic => {
                self.episode(&topic, now).change(before.held, held);
            }
            Some(before) => {
                lines.extend(self.leave(before, End::Moved, now));
                self.episode(&topic, now).join(held, now);
            }
            None => self.episode(&topic, now).join(held, now),
        }
        let event = match (had, held) {
            (Some(Held::Keys), Held::Nothing) => Event::KeysEnded,
            (None, Held::Nothing) if topic == Topic::Late => Event::KeysEnded,
            (None | Some(_), _) => Event::AttemptFailed,
        };
        lines.push(self.tell(topic, event, now));
        lines
    }

    /// The keys of `identity` have ended.
    pub(super) fn ended(&mut self, identity: &Identity, now: Instant) -> Vec<Line> {
        let known = self.standings.get(identity);
        let topic = known.map_or(Topic::Late, |standing| standing.topic.clone());
        let held = Held::Nothing;
        self.failed(identity, Standing { topic, held }, now)
    }

    /// `identity` has no trouble any more.
    pub(super) fn left(&mut self, identity: &Identity, end: End, now: Instant) -> Option<Line> {
        let standing = self.standings.remove(identity)?;
        self.leave(standing, end, now)
    }

    fn leave(&mut self, standing: Standing, end: End, now: Instant) -> Option<Line> {
        let Standing { topic, held } = standing;
        let episode = self.episodes.get_mut(&topic)?;
        episode.leave(held, end);
        if episode.is_inhabited() {
            return None;
        }
        let episode = self.episodes.remove(&topic)?;
        let began = episode.said_to_begin()?;
        self.past
            .retain(|_, began| now.duration_since(*began) < PAUSE);
        self.past.insert(topic.clone(), began);
        Some(Line::Over(topic, episode.end(), episode.peak(now)))
    }

    /// `topic`, unless there are too many like it.
    fn bounded(&self, topic: Topic) -> Topic {
        let Topic::Refused(refusal) = topic else {
            return topic;
        };
        let alike =
            |other: &&Topic| matches!(other, Topic::Refused(other) if refusal.resembles(other));
        let number = self.episodes.keys().filter(alike).count();
        let topic = Topic::Refused(refusal.clone());
        if number < WORDS || self.episodes.contains_key(&topic) {
            return topic;
        }
        Topic::Refused(refusal.wordless())
    }

    fn episode(&mut self, topic: &Topic, now: Instant) -> &mut Episode {
        let before = self.past.get(topic).copied();
        let begin = || Episode::new(before, now);
        self.episodes.entry(topic.clone()).or_insert_with(begin)
    }

    /// What there is to say of `topic` now.
    fn tell(&mut self, topic: Topic, event: Event, now: Instant) -> Line {
        let Some(episode) = self.episodes.get_mut(&topic) else {
            return Line::Unsaid;
        };
        let Some(due) = episode.due(&topic, event, now) else {
            return Line::Unsaid;
        };
        if !topic.is_for_all() && !self.room.take(now) {
            return self.no_room(now);
        }
        episode.say(event, now);
        let tally = episode.tally(now);
        match due {
            Due::Beginning => Line::Begins(topic),
            Due::KeysEnded => Line::KeysEnd(topic, tally),
            Due::Reminder => Line::Lasts(topic, tally),
        }
    }

    fn no_room(&mut self, now: Instant) -> Line {
        let episodes = self.episodes.iter();
        let of_some = episodes.filter(|(topic, _)| !topic.is_for_all());
        let unsaid = of_some.filter(|(_, episode)| episode.said_to_begin().is_none());
        let unsaid = unsaid.count();
        if unsaid > 0 && self.room.complain(now) {
            return Line::NoRoom(unsaid);
        }
        Line::Unsaid
    }

    /// How much it remembers.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.standings.len() + self.episodes.len() + self.past.len()
    }
}
