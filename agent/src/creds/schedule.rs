//! When to ask STS again, and how much it matters. Pure: the same facts, time and jitter give the same answer.
//!
//! Keys are replaced a little before half of their life, so that whatever a pod is given lasts for long: of a session
//! of one hour never less than half an hour, and STS may be gone for 29 minutes at any time. Failures are retried less
//! and less often, refusals after the time that IAM needs to become consistent, and what is wrong in itself
//! hardly ever (a managed policy may be made later). An attempt is never planned for later than the moment at which the
//! keys that are held have to be withdrawn.

mod deadline;

use std::time::Duration;

use jiff::Timestamp;

use super::{Credentials, Lasting, SourceError};

pub use deadline::Deadline;

use deadline::until;

/// Keys are withdrawn this long before they end. The JavaScript SDK v2 hangs on keys with less than 15 s.
pub const MARGIN: Duration = Duration::from_secs(20);

/// Pods are to be given keys with at least this much left while STS works: botocore and others use what has less
/// after its end.
pub const ENOUGH: Duration = Duration::from_mins(25);

/// Keys that have no more left than this do not wait any longer for those of others.
pub const ENDING: Duration = Duration::from_mins(3);

/// Keys are replaced between these parts of their life, ...
const RENEWAL: (f64, f64) = (0.45, 0.49);

/// ... but the first ones from this part on: what began together, as after the start of many nodes, parts for good.
const FIRST_RENEWAL: f64 = 0.3;

/// Where half of a life is too late for [`ENOUGH`], keys are replaced this long before, ...
const EARLIER: Duration = Duration::from_secs(30);

/// ... or, that not all begin together again, from this part of that time on; ...
const EARLIER_SPREAD: f64 = 0.85;

/// ... but not before this part of their life.
const EARLIEST: f64 = 0.1;

/// No two attempts for one identity are closer than this.
const FLOOR: Duration = Duration::from_millis(200);

/// The first retry comes within this time, while a caller still waits; each further one within twice as much, ...
const BACKOFF: Duration = Duration::from_millis(400);

/// ... up to this.
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// A caller who waits makes a retry come sooner, but not sooner than this.
const BACKOFF_WAITING: Duration = Duration::from_secs(1);

/// Attempts come closer when the end of the keys does: within this part of what is left of them.
const LAST_CHANCES: u32 = 4;

/// A refusal is remembered between one and two of these: IAM is eventually consistent.
const REFUSAL: Duration = Duration::from_secs(30);

/// So often it is asked about again by itself when that time is over, ...
const REFUSALS: u32 = 6;

/// ... then less and less often, up to this. Whoever asks has it asked about at once.
const REFUSAL_CAP: Duration = Duration::from_mins(10);

/// What is wrong in itself stays so until it is something else, as far as can be told from here. What cannot, such as a
/// managed policy that somebody makes at last, is looked for between one and two of these.
const FOR_GOOD: Duration = Duration::from_hours(1);

/// A number from 0 to 1 that spreads attempts over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// Takes a number; what is not between 0 and 1 becomes the nearest that is.
    pub const fn new(number: f64) -> Self {
        if number.is_nan() {
            return Self(0.0);
        }
        Self(number.clamp(0.0, 1.0))
    }

    /// A random one.
    pub fn random() -> Self {
        Self::new(rand::random())
    }

    /// The moment in the span from `from` to `to` that this jitter picks.
    pub fn between(self, from: Duration, to: Duration) -> Duration {
        from + to.saturating_sub(from).mul_f64(self.0)
    }
}

/// From when to when keys are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When we got them.
    pub issued: Timestamp,
    /// When they end.
    pub expires: Timestamp,
}

impl Life {
    /// How long the keys may still be given to pods: until [`MARGIN`] before their end.
    pub fn left(&self, now: Timestamp) -> Duration {
        until(self.expires, now).saturating_sub(MARGIN)
    }

    /// How long until they are to be replaced.
    fn renewal_in(&self, now: Timestamp, first: First, jitter: Jitter) -> Duration {
        let whole = until(self.expires, self.issued);
        let (from, to) = RENEWAL;
        let from = if first == First::Yes {
            FIRST_RENEWAL
        } else {
            from
        };
        let at = jitter.between(whole.mul_f64(from), whole.mul_f64(to));
        let latest = latest(whole);
        let age = until(now, self.issued);
        at.min(jitter.between(latest.mul_f64(EARLIER_SPREAD), latest))
            .saturating_sub(age)
    }
}

/// The age at which keys that live for `whole` still have [`ENOUGH`] left. If they never had, that of any keys.
fn latest(whole: Duration) -> Duration {
    match whole.checked_sub(ENOUGH) {
        Some(spare) => spare.saturating_sub(EARLIER).max(whole.mul_f64(EARLIEST)),
        None => whole,
    }
}

impl From<&Credentials> for Life {
    fn from(keys: &Credentials) -> Self {
        Self {
            issued: keys.issued,
            expires: keys.expires,
        }
    }
}

/// Whether keys are the first ones of their identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// There were none before.
    Yes,
    /// They replace others.
    No,
}

/// How the last attempt ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It gave keys.
    Keys(Life, First),
    /// It gave none.
    Failure {
        /// Why.
        error: &'a SourceError,
        /// How many attempts have failed since the last good one, this one included.
        failures: u32,
    },
}

/// When the next attempt comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whoever waits does not make it come earlier than this.
    pub quiet: Duration,
    /// It comes after this by itself.
    pub attempt: Duration,
}

impl Plan {
    /// After `delay`, for whomever.
    const fn after(delay: Duration) -> Self {
        Self {
            quiet: delay,
            attempt: delay,
        }
    }

    /// No earlier than the floor, and no later than what is `left` of the keys that are held.
    fn bounded(self, left: Option<Duration>) -> Self {
        let bound = |delay: Duration| left.map_or(delay, |left| delay.min(left)).max(FLOOR);
        let attempt = bound(self.attempt);
        Self {
            quiet: bound(self.quiet).min(attempt),
            attempt,
        }
    }
}

/// Since when a pod needs an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// From now on: it has no keys yet.
    New,
    /// Its processes ran before we did, and have keys.
    Running,
}

/// When the first attempt comes: at once. Those who have time queue up with others of the kind.
pub const fn first() -> Plan {
    Plan {
        quiet: Duration::ZERO,
        attempt: Duration::ZERO,
    }
}

/// When the next attempt comes, while the keys of `held` are out with pods.
pub fn next(outcome: Outcome<'_>, held: Option<Life>, now: Timestamp, jitter: Jitter) -> Plan {
    let left = held.map(|life| life.left(now));
    let plan = match outcome {
        Outcome::Keys(life, first) => Plan::after(life.renewal_in(now, first, jitter)),
        Outcome::Failure { error, failures } => match error.lasting() {
            Lasting::ForGood if held.is_none() => {
                Plan::after(jitter.between(FOR_GOOD, FOR_GOOD * 2))
            }
            // It was right once.
            Lasting::ForGood | Lasting::AWhile => refused(failures, jitter),
            Lasting::AMoment if matches!(error, SourceError::Throttled { .. }) => {
                Plan::after(FLOOR) // how long it waits then, the pace of the whole agent decides
            }
            Lasting::AMoment => failed(failures, left, jitter),
        },
    };
    plan.bounded(left)
}

fn refused(failures: u32, jitter: Jitter) -> Plan {
    let quiet = jitter.between(REFUSAL, REFUSAL * 2);
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(REFUSALS));
    Plan {
        quiet,
        attempt: quiet.saturating_mul(doubled).min(REFUSAL_CAP).max(quiet),
    }
}

fn failed(failures: u32, left: Option<Duration>, jitter: Jitter) -> Plan {
    let wish = backoff(failures, jitter);
    let attempt = left.map_or(wish, |left| wish.min(left / LAST_CHANCES));
    Plan {
        quiet: attempt.min(BACKOFF_WAITING),
        attempt,
    }
}

/// Exponential backoff with full jitter after that many failures in a row.
fn backoff(failures: u32, jitter: Jitter) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let ceiling = BACKOFF.saturating_mul(doubled).min(BACKOFF_CAP);
    jitter.between(FLOOR, ceiling)
}

/// Who goes first where not all can be served at once: the order is that of the variants, and among those with keys
/// that of their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// The keys have less than [`ENDING`] left; then they end.
    Ending(Timestamp),
    /// Somebody waits for the answer.
    Waiting,
    /// A new pod, which will ask soon.
    New,
    /// It failed before. Whoever writes what cannot work does not stand in the way of others by asking often.
    Again,
    /// It has time: keys that are renewed early and end then, pods that have theirs, what was refused before.
    Spare(Timestamp),
}

impl Urgency {
    /// Nothing has more time.
    pub const LEAST: Self = Self::Spare(Timestamp::MAX);

    /// Whether it has time.
    pub const fn is_spare(self) -> bool {
        matches!(self, Self::Spare(_))
    }
}

/// What an attempt is for.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// Since when a pod needs it.
    pub beginning: Beginning,
    /// The keys that are out.
    pub held: Option<Life>,
    /// How long the last failure is going to last, if the last attempt failed.
    pub failed: Option<Lasting>,
    /// Whether somebody waits.
    pub demand: Demand,
}

/// Whether somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Nobody.
    None,
    /// Somebody does, or was sent away a moment ago.
    Waits,
}

/// How urgent an attempt is, and after which time it is more urgent.
pub fn urgency(need: &Need, now: Timestamp) -> (Urgency, Option<Duration>) {
    if let Some(Life { expires, .. }) = need.held {
        return match until(expires, now).checked_sub(ENDING) {
            None | Some(Duration::ZERO) => (Urgency::Ending(expires), None),
            spare => (Urgency::Spare(expires), spare),
        };
    }
    let urgency = match (need.demand, need.beginning, need.failed) {
        (Demand::Waits, _, None | Some(Lasting::AMoment)) => Urgency::Waiting,
        (Demand::None, Beginning::New, None) => Urgency::New,
        (Demand::Waits, _, Some(Lasting::AWhile | Lasting::ForGood))
        | (Demand::None, Beginning::New, Some(Lasting::AMoment)) => Urgency::Again,
        (Demand::None, _, _) => Urgency::LEAST,
    };
    (urgency, None)
}

#[cfg(test)]
mod tests;
