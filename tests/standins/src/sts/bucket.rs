//! A token bucket, as AWS limits calls: so many at once, and so many a second from then on.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::after;

/// So many calls a second, and so many at once: `{"throttle": {"rate": 600, "burst": 600}}`. It is full at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Tokens that are put in each second.
    pub rate: NonZeroU32,
    /// Tokens that it has room for.
    pub burst: NonZeroU32,
    /// When it would be full, if nobody took any.
    #[serde(skip)]
    full: Option<Timestamp>,
}

impl Bucket {
    /// A full one.
    pub const fn new(rate: NonZeroU32, burst: NonZeroU32) -> Self {
        Self {
            rate,
            burst,
            full: None,
        }
    }

    /// Takes a token, if there is one at `now`.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let token = Duration::from_secs(1) / self.rate.get();
        let full = self.full.map_or(now, |full| full.max(now));
        let missing = full.duration_since(now).unsigned_abs();
        if missing + token > token * self.burst.get() {
            return false;
        }
        self.full = Some(after(full, token));
        true
    }
}

/// A text that is not `RATE/BURST`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not RATE/BURST, two numbers such as 600/600")]
pub struct InvalidBucket(String);

impl FromStr for Bucket {
    type Err = InvalidBucket;

    fn from_str(text: &str) -> Result<Self, InvalidBucket> {
        let numbers = text
            .split_once('/')
            .and_then(|(rate, burst)| Some((rate.parse().ok()?, burst.parse().ok()?)));
        let (rate, burst) = numbers.ok_or_else(|| InvalidBucket(text.to_owned()))?;
        Ok(Self::new(rate, burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(rate: u32, burst: u32) -> Bucket {
        let number = |number| NonZeroU32::new(number).unwrap();
        Bucket::new(number(rate), number(burst))
    }

    /// How many of `calls` at `milliseconds` get a token.
    fn taken(bucket: &mut Bucket, milliseconds: i64, calls: usize) -> usize {
        let now = Timestamp::from_millisecond(1_767_323_045_000 + milliseconds).unwrap();
        (0..calls).filter(|_| bucket.take(now)).count()
    }

    #[test]
    fn a_full_bucket_takes_a_burst_and_fills_at_its_rate() {
        let mut bucket = bucket(10, 5);
        for (milliseconds, calls, expected) in [
            (0, 8, 5),
            (0, 1, 0),
            (99, 1, 0),
            (100, 2, 1),
            (350, 9, 2),
            (60_000, 9, 5),
            (30_000, 3, 0), // a clock that is put back
        ] {
            let taken = taken(&mut bucket, milliseconds, calls);
            assert_eq!(taken, expected, "{calls} after {milliseconds} ms");
        }
    }

    #[test]
    fn over_a_long_time_the_rate_is_what_counts() {
        let mut bucket = bucket(600, 600);
        let taken: usize = (0..10_000).map(|at| taken(&mut bucket, at, 1)).sum();
        assert!((6590..=6610).contains(&taken), "{taken}");
    }

    #[test]
    fn nothing_is_no_rate() {
        for json in [
            r#"{"rate":0,"burst":1}"#,
            r#"{"rate":1,"burst":0}"#,
            r#"{"rate":1}"#,
            r#"{"rate":1,"burst":1,"full":0}"#,
        ] {
            assert!(serde_json::from_str::<Bucket>(json).is_err(), "{json}");
        }
        for text in ["", "600", "/", "0/1", "1/0", "1/2/3", "-1/1"] {
            assert!(text.parse::<Bucket>().is_err(), "{text}");
        }
        assert_eq!("600/3".parse(), Ok(bucket(600, 3)));
    }
}
