//! The pace of one agent at STS: who calls next, how many call at a time, and when nobody does. Pure.
//!
//! The quota at STS is shared by every node of an account, and nobody tells a node how many there are. So all there is
//! to go by is how calls end: throttled ones halve what this agent does at a time, make everybody pause, and those that
//! have time wait longer; good ones take that back. When STS does not answer at all, one call at a time finds out when
//! it does again. Only who fetches comes by here: pods whose keys are in memory notice nothing.

use std::{collections::BTreeSet, time::Duration};

use super::schedule::{Jitter, Urgency};

/// Time, since whatever moment the owner of a [`Pace`] counts from. It never goes back.
pub type Moment = Duration;

/// Calls under way at a time, at the most: a full node (250 pods) is served in half a second.
const MOST: f64 = 48.0;

/// After a throttled call nobody calls for up to this time, for each further one up to twice as much, ...
const PAUSE: Duration = Duration::from_millis(200);

/// ... up to this.
const PAUSE_CAP: Duration = Duration::from_secs(4);

/// What STS did longer ago does not count any more.
const CALM: Duration = Duration::from_secs(30);

/// So many calls in a row without an answer, and STS counts as gone.
const SILENT: u32 = 3;

/// While STS is gone, calls for which somebody waits or soon will come at this distance, or less.
const PROBE: Duration = Duration::from_secs(4);

/// After a throttled call each of those that have time waits for about this long, after a further one twice as long, ...
const WAIT: Duration = Duration::from_secs(150);

/// ... up to this: keys that are renewed a little before half of an hour still have 25 minutes left then.
const WAIT_CAP: Duration = Duration::from_mins(5);

/// What a good call leaves of it.
const WAIT_SHRINKS: f64 = 0.95;

/// Between two calls that have time there is this much at the start, when nothing is known, and the first comes within
/// it: all nodes of a large cluster may have restarted their agents at once, and their pods have keys.
const GAP_AT_START: Duration = Duration::from_secs(4);

/// After calls without an answer it is this, ...
const GAP: Duration = Duration::from_secs(10);

/// ... and twice as much after more of them, up to this.
const GAP_CAP: Duration = Duration::from_secs(20);

/// What a good call leaves of it: of a node alone, all pods are soon served.
const GAP_SHRINKS: f64 = 0.6;

/// What is as good as nothing.
const NOTHING: Duration = Duration::from_millis(100);

/// How a call ended, as far as STS's strength goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// STS answered, whatever.
    Answered,
    /// STS asks for fewer calls.
    Throttled,
    /// There was no answer.
    Silent,
}

/// Somebody's place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What the queue allows now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This one calls now. Its place is free.
    Call(Ticket),
    /// Nobody before this moment.
    At(Moment),
    /// Nobody until a call ends, or somebody joins.
    Nobody,
}

/// The queue, and what calls have taught.
#[derive(Clone, Debug)]
pub struct Pace {
    queue: BTreeSet<(Urgency, Ticket)>,
    tickets: u64,
    under_way: u32,
    /// How many may be under way.
    limit: f64,
    /// How often in a row STS throttled; calls that were under way at the same time count once.
    strikes: u32,
    /// When it last did.
    struck: Option<Moment>,
    /// How many calls in a row had no answer.
    silent: u32,
    /// Nobody calls before.
    pause: Moment,
    /// Between two calls that have time, as long as STS does not throttle.
    gap: Duration,
    /// How long each of those that have time waits since STS throttled: the more there are, the more may call.
    wait: Duration,
    /// Nobody who has time calls before.
    spare: Moment,
}

impl Pace {
    /// Nobody calls yet, and nothing is known.
    pub fn new(jitter: Jitter) -> Self {
        Self {
            queue: BTreeSet::new(),
            tickets: 0,
            under_way: 0,
            limit: MOST,
            strikes: 0,
            struck: None,
            silent: 0,
            pause: Duration::ZERO,
            gap: GAP_AT_START,
            wait: Duration::ZERO,
            spare: jitter.between(Duration::ZERO, GAP_AT_START),
        }
    }

    /// Takes a place behind those that are as urgent.
    pub fn join(&mut self, urgency: Urgency) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.queue.insert((urgency, ticket));
        ticket
    }

    /// Moves the one with `ticket` ahead, if `urgency` is more urgent than what it had.
    pub fn hurry(&mut self, ticket: Ticket, urgency: Urgency) {
        let place = self.place(ticket);
        if let Some(place) = place.filter(|(before, _)| urgency < *before) {
            self.queue.remove(&place);
            self.queue.insert((urgency, ticket));
        }
    }

    /// Leaves the queue. Who calls already stays, until [`end`](Self::end).
    pub fn leave(&mut self, ticket: Ticket) {
        if let Some(place) = self.place(ticket) {
            self.queue.remove(&place);
        }
    }

    /// Who is next. Meant to be asked until it is nobody.
    pub fn next(&mut self, now: Moment) -> Next {
        let Some(&(urgency, ticket)) = self.queue.first() else {
            return Next::Nobody;
        };
        // Those who have time leave room for those who come next.
        let room = if urgency.is_spare() {
            (self.limit / 2.0).max(1.0)
        } else {
            self.limit
        };
        if f64::from(self.under_way) + 1.0 > room {
            return Next::Nobody;
        }
        let from = if urgency.is_spare() {
            self.pause.max(self.spare)
        } else {
            self.pause
        };
        if now < from {
            return Next::At(from);
        }
        self.queue.remove(&(urgency, ticket));
        self.under_way += 1;
        if urgency.is_spare() {
            self.spare = now + self.between_spare();
        }
        Next::Call(ticket)
    }

    /// A call that began at `began` is over. Without a verdict it taught nothing.
    pub fn end(&mut self, began: Moment, verdict: Option<Verdict>, now: Moment, jitter: Jitter) {
        match verdict {
            None => {}
            Some(Verdict::Answered) => self.answered(),
            Some(Verdict::Throttled) => self.strike(began, now, jitter),
            Some(Verdict::Silent) => self.silent(now, jitter),
        }
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// How many wait, and how many calls are under way.
    pub fn load(&self) -> (usize, u32) {
        (self.queue.len(), self.under_way)
    }

    fn answered(&mut self) {
        self.strikes = 0;
        self.silent = 0;
        self.limit = (self.limit + 1.0).min(MOST);
        self.gap = shrunk(self.gap, GAP_SHRINKS);
        self.wait = shrunk(self.wait, WAIT_SHRINKS);
    }

    /// STS throttled a call that began at `began`, perhaps one that is not of this queue.
    pub fn strike(&mut self, began: Moment, now: Moment, jitter: Jitter) {
        self.silent = 0;
        if self.struck.is_some_and(|struck| began <= struck) {
            return; // it was under way when STS began to throttle
        }
        let before = self.struck.replace(now);
        if before.is_some_and(|before| now.saturating_sub(before) > CALM) {
            self.strikes = 0;
        }
        self.strikes = self.strikes.saturating_add(1);
        let used = match self.under_way {
            0 => self.limit,
            calls => self.limit.min(calls.into()),
        };
        self.limit = (used / 2.0).max(1.0);
        let ceiling = PAUSE.saturating_mul(2_u32.saturating_pow(self.strikes - 1));
        self.pause = now + jitter.between(PAUSE / 4, ceiling.min(PAUSE_CAP));
        self.wait = self.wait.saturating_mul(2).clamp(WAIT, WAIT_CAP);
        self.hold(now, jitter);
    }

    fn silent(&mut self, now: Moment, jitter: Jitter) {
        self.silent = self.silent.saturating_add(1);
        let Some(more) = self.silent.checked_sub(SILENT) else {
            return;
        };
        self.limit = 1.0;
        let ceiling = PAUSE.saturating_mul(2_u32.saturating_pow(more));
        self.pause = now + jitter.between(PAUSE / 4, ceiling.min(PROBE));
        self.gap = self.gap.saturating_mul(2).clamp(GAP, GAP_CAP);
        self.hold(now, jitter);
    }

    /// Lets those wait who have time.
    fn hold(&mut self, now: Moment, jitter: Jitter) {
        let usual = self.between_spare();
        self.spare = now + jitter.between(usual / 2, usual.mul_f64(1.5));
    }

    /// Between two calls that have time.
    fn between_spare(&self) -> Duration {
        let spare = self.queue.iter().rev();
        let number = spare.take_while(|(urgency, _)| urgency.is_spare()).count();
        let each = u32::try_from(number).unwrap_or(u32::MAX).max(1);
        self.gap.max(self.wait / each)
    }

    fn place(&self, ticket: Ticket) -> Option<(Urgency, Ticket)> {
        self.queue.iter().find(|(_, one)| *one == ticket).copied()
    }
}

/// What a good call leaves of `time`.
fn shrunk(time: Duration, to: f64) -> Duration {
    let less = time.mul_f64(to);
    if less < NOTHING { Duration::ZERO } else { less }
}

#[cfg(test)]
mod tests;
