//! How many questions there may be in a time, whoever has them asked.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket that leaks, as one moment in time.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    rate: Rate,
    /// When all that was spent will have come back.
    until: Option<Instant>,
}

/// How much there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// So many at once, ...
    pub(crate) burst: u32,
    /// ... and one more after each such time.
    pub(crate) every: Duration,
}

impl Budget {
    /// One of which nothing was spent.
    pub(crate) const fn new(rate: Rate) -> Self {
        Self { rate, until: None }
    }

    /// Whether there may be one more question now. If so it counts.
    pub(crate) fn allows(&mut self) -> bool {
        let Rate { burst, every } = self.rate;
        let now = Instant::now();
        let debt = self.debt(now) + every;
        let is_allowed = debt <= every * burst;
        if is_allowed {
            self.until = Some(now + debt);
        }
        is_allowed
    }

    /// Whether all that was spent has come back.
    pub(crate) fn is_whole(&self) -> bool {
        self.debt(Instant::now()).is_zero()
    }

    fn debt(&self, now: Instant) -> Duration {
        let until = self.until;
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_are_many_questions_at_once_and_then_ten_a_second() {
        let mut budget = Budget::new(Rate {
            burst: 40,
            every: Duration::from_millis(100),
        });
        let mut counts = Vec::new();
        for wait in [0, 0, 99, 1, 1000, 3_600_000] {
            time::advance(Duration::from_millis(wait)).await;
            counts.push((0..1000).filter(|_| budget.allows()).count());
            assert!(!budget.is_whole());
        }
        assert_eq!(counts, [40, 0, 0, 1, 10, 40]);
        time::advance(Duration::from_secs(4)).await;
        assert!(budget.is_whole());
    }
}
