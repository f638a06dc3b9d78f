//! How many questions there may be, whoever has them asked.

use std::time::Duration;

use tokio::time::Instant;

/// So many at once: the pods of a node that come while a watch is away, ...
const BURST: u32 = 40;

/// ... and one more after each such time. An API server has some thousand nodes.
const EVERY: Duration = Duration::from_millis(100);

/// When all that was spent will have come back. (A bucket that leaks, as one moment in time.)
#[derive(Debug, Default)]
pub(super) struct Budget(Option<Instant>);

impl Budget {
    /// Whether there may be one more question now. If so it counts.
    pub(super) fn allows(&mut self) -> bool {
        let now = Instant::now();
        let debt = self
            .0
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
            + EVERY;
        let is_allowed = debt <= EVERY * BURST;
        if is_allowed {
            self.0 = Some(now + debt);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_are_many_questions_at_once_and_then_ten_a_second() {
        let mut budget = Budget::default();
        let mut counts = Vec::new();
        for wait in [0, 0, 99, 1, 1000, 3_600_000] {
            time::advance(Duration::from_millis(wait)).await;
            counts.push((0..1000).filter(|_| budget.allows()).count());
        }
        assert_eq!(counts, [40, 0, 0, 1, 10, 40]);
    }
}
