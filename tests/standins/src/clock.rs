//! What time it is for a stand-in. Tests may hold the hand of the clock.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::shared::Shared;

/// Where a stand-in's time comes from.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Shared<Timestamp>>>);

/// Moves a clock that does not move by itself.
#[derive(Clone, Debug)]
pub struct Hand(Arc<Shared<Timestamp>>);

impl Clock {
    /// The machine's clock.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands at `start` until its hand is moved.
    pub fn by_hand(start: Timestamp) -> (Self, Hand) {
        let time = Arc::new(Shared::new(start));
        (Self(Some(Arc::clone(&time))), Hand(time))
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(time) => time.with(|time| *time),
            None => Timestamp::now(),
        }
    }
}

impl Hand {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.0.with(|time| *time = after(*time, by));
    }
}

/// `start` and `length` later; the end of time if that is beyond it.
pub(crate) fn after(start: Timestamp, length: Duration) -> Timestamp {
    start.saturating_add(length).unwrap_or(Timestamp::MAX)
}

/// As AWS spells times: whole seconds, and a literal `Z`.
pub(crate) fn spelled(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A length of time as people write it: `200ms`, `2s`, `1h`.
pub(crate) fn length(text: &str) -> Result<Duration, jiff::Error> {
    Duration::try_from(text.parse::<SignedDuration>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_by_hand_moves_only_when_told() {
        let (clock, hand) = Clock::by_hand("2026-01-01T00:00:00.75Z".parse().unwrap());
        assert_eq!(spelled(clock.now()), "2026-01-01T00:00:00Z");
        hand.advance(Duration::from_secs(61));
        assert_eq!(spelled(clock.now()), "2026-01-01T00:01:01Z");
    }
}
