//! Moments that all processes of the machine agree on.

use std::{fmt, num::ParseIntError, str::FromStr, thread, time::Duration};

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

/// A moment of the clock that all processes of the machine share and nobody sets: nanoseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
        // It is never negative.
        Self(tv_sec.cast_unsigned() * 1_000_000_000 + tv_nsec.cast_unsigned())
    }

    /// The nanoseconds.
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The moment that is `later` than this one by so much.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        let later = u64::try_from(later.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(later))
    }

    /// How long after `earlier` this is; nothing if it is before.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Sleeps until then.
    pub fn wait(self) {
        thread::sleep(self.since(Self::now()));
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Moment {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_was_waited_for_has_come() {
        let begin = Moment::now();
        let then = begin.plus(Duration::from_millis(2));
        then.wait();
        assert!(Moment::now() >= then);
        assert_eq!(then.since(begin), Duration::from_millis(2));
        assert_eq!(begin.since(then), Duration::ZERO);
        begin.wait();
    }

    #[test]
    fn a_moment_reads_back_as_it_was_written() {
        let now = Moment::now();
        assert_eq!(now.to_string().parse(), Ok(now));
        assert!("soon".parse::<Moment>().is_err());
    }
}
