//! Moments that do not get lost when clocks are set, or the machine sleeps.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

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
pub(super) fn until(end: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(end.duration_since(now)).unwrap_or_default()
}
