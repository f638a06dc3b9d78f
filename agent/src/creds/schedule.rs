//! When to ask STS again. Pure: the same facts, time and jitter give the same answer.
//!
//! Keys are replaced at about half of their life, so that whatever a pod is given lasts for long; failures
//! are retried less and less often, denials after the time that IAM needs to become consistent. An attempt
//! is never planned for later than the moment at which the keys that are held have to be withdrawn.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Credentials, SourceError};

/// Keys are withdrawn this long before they end. The JavaScript SDK v2 hangs on keys with less than 15 s.
pub const MARGIN: Duration = Duration::from_secs(20);

/// Keys are replaced between these parts of their life. For a session of one hour the pod is never given
/// less than 30 minutes, and five remain to botocore's 25 for STS to fail in.
const REFRESH: (f64, f64) = (0.4, 0.5);

/// No two attempts for one identity are closer than this.
const FLOOR: Duration = Duration::from_millis(200);

/// The first retry comes within this time, each further one within twice as much, ...
const BACKOFF: Duration = Duration::from_secs(1);

/// ... up to this.
const BACKOFF_CAP: Duration = Duration::from_mins(1);

/// A denial is asked about again between one and two of these: IAM is eventually consistent.
const DENIED: Duration = Duration::from_secs(30);

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
    fn between(self, from: Duration, to: Duration) -> Duration {
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
    fn refresh_in(&self, now: Timestamp, jitter: Jitter) -> Duration {
        let whole = until(self.expires, self.issued);
        let age = until(now, self.issued);
        let (from, to) = REFRESH;
        jitter
            .between(whole.mul_f64(from), whole.mul_f64(to))
            .saturating_sub(age)
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

/// How the last attempt ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It gave keys.
    Keys(Life),
    /// It gave none.
    Failure {
        /// Why.
        error: &'a SourceError,
        /// How many attempts have failed since the last good one, this one included.
        failures: u32,
    },
}

/// How long to wait before the next attempt, while the keys of `held` are out with pods.
pub fn next(outcome: Outcome<'_>, held: Option<Life>, now: Timestamp, jitter: Jitter) -> Duration {
    let wish = match outcome {
        Outcome::Keys(life) => life.refresh_in(now, jitter),
        Outcome::Failure { error, .. } if error.is_final() => jitter.between(DENIED, DENIED * 2),
        Outcome::Failure { failures, .. } => backoff(failures, jitter),
    };
    held.map_or(wish, |life| wish.min(life.left(now)))
        .max(FLOOR)
}

/// Exponential backoff with full jitter after that many failures in a row.
pub fn backoff(failures: u32, jitter: Jitter) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let ceiling = BACKOFF.saturating_mul(doubled).min(BACKOFF_CAP);
    jitter.between(FLOOR, ceiling)
}

/// A moment that comes as soon as either clock says so: the wall clock may jump ahead, and the monotonic one
/// goes on when the wall clock is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    wall: Timestamp,
}

impl Deadline {
    /// The moment `delay` from now, for what both clocks say now.
    pub fn after(delay: Duration, instant: Instant, now: Timestamp) -> Self {
        Self {
            at: instant + delay,
            wall: now.saturating_add(delay).unwrap_or(Timestamp::MAX),
        }
    }

    /// How long until it comes; zero when it has.
    pub fn left(&self, instant: Instant, now: Timestamp) -> Duration {
        self.at
            .saturating_duration_since(instant)
            .min(until(self.wall, now))
    }
}

/// From `now` to `end`; zero when that is past.
fn until(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
