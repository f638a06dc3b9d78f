//! How many calls there were, second by second.

use std::{ops::Range, time::Duration};

use bpf2iam::creds::pace::Moment;

/// How many calls each second had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates(Vec<u32>);

impl Rates {
    /// There was one more.
    pub(crate) fn count(&mut self, now: Moment) {
        let second = second(now);
        if second >= self.0.len() {
            self.0.resize(second + 1, 0);
        }
        self.0[second] += 1;
    }

    /// How many there were from one moment to another, in whole seconds.
    pub(crate) fn total(&self, time: Range<Moment>) -> u32 {
        self.seconds(time).iter().sum()
    }

    /// Most calls in one second.
    pub(crate) fn peak_second(&self, time: Range<Moment>) -> u32 {
        self.seconds(time).iter().max().copied().unwrap_or(0)
    }

    /// Calls a second in the minute that had most.
    pub(crate) fn peak_minute(&self, time: Range<Moment>) -> f64 {
        let minutes = self.seconds(time).chunks_exact(60);
        let peak = minutes.map(|minute| minute.iter().sum()).max();
        f64::from(peak.unwrap_or(0_u32)) / 60.0
    }

    fn seconds(&self, time: Range<Moment>) -> &[u32] {
        let end = second(time.end).min(self.0.len());
        self.0.get(second(time.start)..end).unwrap_or_default()
    }
}

fn second(moment: Moment) -> usize {
    usize::try_from(moment.as_secs()).unwrap_or(usize::MAX)
}

/// Calls a second, if there were so many in all that time.
pub(crate) fn mean(calls: u32, time: Duration) -> f64 {
    f64::from(calls) / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One call in the first second, two in the second, and so on, for five minutes.
    fn growing() -> Rates {
        let mut rates = Rates::default();
        for second in 0..300 {
            for call in 0..=second {
                rates.count(Duration::from_secs(second) + Duration::from_micros(call));
            }
        }
        rates
    }

    fn secs(time: Range<u64>) -> Range<Moment> {
        Duration::from_secs(time.start)..Duration::from_secs(time.end)
    }

    #[test]
    fn only_the_time_that_is_asked_for_counts() {
        for (time, total, peak) in [
            (0..1, 1, 1),
            (0..3, 6, 3),
            (2..4, 7, 4),
            (298..1000, 599, 300),
            (400..500, 0, 0),
            (5..5, 0, 0),
        ] {
            assert_eq!(growing().total(secs(time.clone())), total, "{time:?}");
            assert_eq!(growing().peak_second(secs(time.clone())), peak, "{time:?}");
        }
    }

    #[test]
    fn the_peak_minute_is_a_whole_one() {
        for (time, peak) in [(0..60, 30.5), (0..119, 30.5), (0..300, 270.5), (0..59, 0.0)] {
            let found = growing().peak_minute(secs(time.clone()));
            assert!((found - peak).abs() < 1e-9, "{time:?}: {found}");
        }
    }

    #[test]
    fn nothing_is_no_calls() {
        let nothing = Rates::default();
        assert_eq!(nothing.total(secs(0..100)), 0);
        assert_eq!(nothing.peak_second(secs(0..100)), 0);
        assert!(nothing.peak_minute(secs(0..100)).abs() < 1e-9);
    }
}
