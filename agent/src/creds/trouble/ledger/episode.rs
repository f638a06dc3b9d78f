//! One trouble from its beginning to its end.

use tokio::time::Instant;

use super::{
    super::{Held, topic::Topic},
    AGAIN, End, PAUSE, Tally,
};

/// A trouble is said again earlier when so many times more have it than when it was last said.
const GROWTH: usize = 2;

/// A trouble.
#[derive(Debug)]
pub(super) struct Episode {
    began: Instant,
    /// It is not said to begin before.
    quiet: Instant,
    now: Members,
    /// The most at a time.
    most: Members,
    said: Option<Said>,
    /// How the best off of those who left it did so.
    end: End,
}

/// How many identities have a trouble.
#[derive(Clone, Copy, Debug, Default)]
struct Members {
    all: usize,
    without_keys: usize,
}

/// What was said of a trouble that was said to begin.
#[derive(Clone, Copy, Debug)]
struct Said {
    first: Instant,
    last: Instant,
    /// How many had it then.
    members: usize,
    /// Whether it was said that keys have ended.
    of: Event,
}

/// What happened to an identity that has a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An attempt gave no keys.
    AttemptFailed,
    /// The keys that it had have ended.
    KeysEnded,
}

/// What is to be said of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// That there is one.
    Beginning,
    /// That keys have ended, for the first time in it.
    KeysEnded,
    /// That it lasts.
    Reminder,
}

impl Episode {
    /// A trouble that begins now. The last one like it was said to begin `before`, if that was a short while ago.
    pub(super) fn new(before: Option<Instant>, now: Instant) -> Self {
        Self {
            began: now,
            quiet: before.map_or(now, |before| before + PAUSE),
            now: Members::default(),
            most: Members::default(),
            said: None,
            end: End::Moved,
        }
    }

    /// One more has it.
    pub(super) fn join(&mut self, held: Held, now: Instant) {
        self.now = self.now.plus(held);
        self.most = self.most.max(self.now);
        // Those who come with the first one are the same news.
        if let Some(said) = &mut self.said
            && said.last == said.first
            && now.duration_since(said.first) < PAUSE
        {
            said.members = said.members.max(self.now.all);
        }
    }

    /// One that has it has other keys than `before`, or none.
    pub(super) fn change(&mut self, before: Held, held: Held) {
        self.now = self.now.minus(before).plus(held);
        self.most = self.most.max(self.now);
    }

    /// One has it no more.
    pub(super) fn leave(&mut self, held: Held, end: End) {
        self.now = self.now.minus(held);
        self.end = self.end.max(end);
    }

    /// Whether somebody has it.
    pub(super) const fn is_inhabited(&self) -> bool {
        self.now.all > 0
    }

    /// When it was said to begin, if it was.
    pub(super) fn said_to_begin(&self) -> Option<Instant> {
        self.said.map(|said| said.first)
    }

    /// How it ends, as a whole.
    pub(super) const fn end(&self) -> End {
        self.end
    }

    /// How large it is.
    pub(super) fn tally(&self, now: Instant) -> Tally {
        self.tally_of(self.now, now)
    }

    /// How large it was when it was largest.
    pub(super) fn peak(&self, now: Instant) -> Tally {
        self.tally_of(self.most, now)
    }

    fn tally_of(&self, members: Members, now: Instant) -> Tally {
        Tally {
            lasted: now.duration_since(self.began),
            identities: members.all,
            without_keys: members.without_keys,
        }
    }

    /// What is to be said after `event`.
    pub(super) fn due(&self, topic: &Topic, event: Event, now: Instant) -> Option<Due> {
        let Some(said) = self.said else {
            let may_wait = topic.may_pass() && self.now.without_keys == 0;
            let lasted = now.duration_since(self.began) >= PAUSE;
            let is_due = now >= self.quiet && (lasted || !may_wait);
            return is_due.then_some(match event {
                Event::AttemptFailed => Due::Beginning,
                Event::KeysEnded => Due::KeysEnded,
            });
        };
        if event == Event::KeysEnded && said.of != event {
            return Some(Due::KeysEnded);
        }
        let since = now.duration_since(said.last);
        let grew = self.now.all >= said.members * GROWTH && since >= PAUSE;
        (grew || since >= AGAIN).then_some(Due::Reminder)
    }

    /// It is said, after `event`.
    pub(super) fn say(&mut self, event: Event, now: Instant) {
        let before = self.said;
        self.said = Some(Said {
            first: before.map_or(now, |said| said.first),
            last: now,
            members: self.now.all,
            of: match before {
                Some(said) if said.of == Event::KeysEnded => said.of,
                Some(_) | None => event,
            },
        });
    }
}

impl Members {
    const fn plus(self, held: Held) -> Self {
        Self {
            all: self.all + 1,
            without_keys: self.without_keys + without(held),
        }
    }

    const fn minus(self, held: Held) -> Self {
        Self {
            all: self.all - 1,
            without_keys: self.without_keys - without(held),
        }
    }

    /// The larger of both numbers.
    fn max(self, other: Self) -> Self {
        Self {
            all: self.all.max(other.all),
            without_keys: self.without_keys.max(other.without_keys),
        }
    }
}

const fn without(held: Held) -> usize {
    match held {
        Held::Keys => 0,
        Held::Nothing => 1,
    }
}
