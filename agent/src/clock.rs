//! What time it is. The only place that asks the system, so that tests can decide.

use std::time::SystemTime;

use jiff::Timestamp;
use tokio::time::Instant;

/// Where wall-clock time comes from. Intervals are measured with tokio's [`Instant`], which tests pause.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Source);

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    /// Wall time that advances with tokio's (paused) clock.
    Tokio {
        start: Instant,
        wall: Timestamp,
    },
    /// The same, and somebody may put it ahead or back.
    #[cfg(test)]
    Jumping {
        start: Instant,
        wall: Timestamp,
        ahead: &'static std::sync::atomic::AtomicI64,
    },
}

impl Clock {
    /// The machine's clock. It may jump.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that says `wall` now and goes on with tokio's: for tests with paused time.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self(Source::Tokio {
            start: Instant::now(),
            wall,
        })
    }

    /// A clock as [`starting_at`](Self::starting_at), and the seconds that it is ahead of that.
    #[cfg(test)]
    pub(crate) fn jumping(wall: Timestamp) -> (Self, &'static std::sync::atomic::AtomicI64) {
        let ahead: &'static _ = Box::leak(Box::default());
        let start = Instant::now();
        (Self(Source::Jumping { start, wall, ahead }), ahead)
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        match self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the clock that others take"
            )]
            Source::System => Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX),
            Source::Tokio { start, wall } => wall
                .saturating_add(start.elapsed())
                .unwrap_or(Timestamp::MAX),
            #[cfg(test)]
            Source::Jumping { start, wall, ahead } => {
                let ahead = ahead.load(std::sync::atomic::Ordering::Relaxed);
                wall + start.elapsed() + jiff::SignedDuration::from_secs(ahead)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_goes_with_tokios() {
        let wall: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::starting_at(wall);
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
    }

    #[test]
    fn the_system_clock_is_not_at_its_end() {
        assert!(Clock::system().now() < Timestamp::MAX);
    }
}
