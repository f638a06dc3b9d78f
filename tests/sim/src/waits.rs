//! How long somebody waited, again and again.

use std::{fmt, time::Duration};

/// Waits, in no order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Vec<Duration>);

impl Waits {
    /// Somebody waited for so long.
    pub(crate) fn count(&mut self, wait: Duration) {
        self.0.push(wait);
    }

    /// How many waits there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many were longer than `limit`.
    pub(crate) fn longer_than(&self, limit: Duration) -> usize {
        self.0.iter().filter(|wait| **wait > limit).count()
    }

    /// The shortest wait that is not exceeded by more than one of `one_of`: the 99th percentile for one of 100.
    pub(crate) fn all_but(&self, one_of: usize) -> Duration {
        let mut waits = self.0.clone();
        if waits.is_empty() {
            return Duration::ZERO;
        }
        let rank = waits.len() - 1 - (waits.len() / one_of).min(waits.len() - 1);
        *waits.select_nth_unstable(rank).1
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} waits: p50 {:.3} s, p99 {:.3} s, max {:.3} s",
            self.len(),
            self.all_but(2).as_secs_f64(),
            self.all_but(100).as_secs_f64(),
            self.max().as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seconds: impl IntoIterator<Item = u64>) -> Waits {
        Waits(seconds.into_iter().map(Duration::from_secs).collect())
    }

    #[test]
    fn a_percentile_is_a_wait_that_so_many_did_not_exceed() {
        for (seconds, p50, p99) in [
            (vec![], 0, 0),
            (vec![7], 7, 7),
            (vec![9, 1], 1, 9),
            (vec![3, 1, 2], 2, 3),
            ((1..=100).rev().collect(), 50, 99),
            ((1..=1000).collect(), 500, 990),
            ((1..=99).collect(), 50, 99),
        ] {
            let waits = waits(seconds.clone());
            let found = (waits.all_but(2).as_secs(), waits.all_but(100).as_secs());
            assert_eq!(found, (p50, p99), "{seconds:?}");
        }
    }

    #[test]
    fn a_wait_of_just_the_limit_is_not_longer() {
        let waits = waits([1, 2, 3]);
        assert_eq!(waits.longer_than(Duration::from_secs(2)), 1);
        assert_eq!(waits.longer_than(Duration::ZERO), 3);
        assert_eq!(waits.max(), Duration::from_secs(3));
    }
}
