//! A token bucket: how AWS meters calls.

use std::time::Duration;

use bpf2iam::creds::pace::Moment;

/// The bucket.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Tokens that come in a second.
    rate: f64,
    /// How many there is room for.
    room: f64,
    tokens: f64,
    /// Until when they were counted.
    counted: Moment,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: u32, room: u32) -> Self {
        Self {
            rate: rate.into(),
            room: room.into(),
            tokens: room.into(),
            counted: Duration::ZERO,
        }
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Moment) -> bool {
        let since = now.saturating_sub(self.counted);
        self.tokens = (self.tokens + since.as_secs_f64() * self.rate).min(self.room);
        self.counted = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `calls` are let through at that moment.
    fn taken(bucket: &mut Bucket, calls: u32, now: Moment) -> usize {
        (0..calls).filter(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_burst_is_let_through_and_no_more() {
        let mut bucket = Bucket::new(10, 25);
        assert_eq!(taken(&mut bucket, 100, Duration::ZERO), 25);
    }

    #[test]
    fn tokens_come_back_with_time_up_to_the_room_that_there_is() {
        for (after, calls) in [(99, 0), (100, 1), (1000, 10), (2500, 25), (60_000, 25)] {
            let mut bucket = Bucket::new(10, 25);
            taken(&mut bucket, 25, Duration::ZERO);
            let after = Duration::from_millis(after);
            assert_eq!(taken(&mut bucket, 100, after), calls, "{after:?}");
        }
    }

    #[test]
    fn who_asks_in_vain_does_not_make_it_worse() {
        let mut bucket = Bucket::new(10, 1);
        taken(&mut bucket, 1000, Duration::ZERO);
        assert!(bucket.take(Duration::from_millis(101)));
    }
}
