//! How far this node's clock is from that of STS, by the `Date` of its last answer.
//!
//! The SDK signs with STS's time when it learns that ours is wrong. The times of keys and tokens it leaves to us.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::BeforeDeserializationInterceptorContextRef,
    },
    error::BoxError,
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};

use crate::clock::Clock;

/// A clock that is off by less is right.
pub(crate) const TOLERATED: SignedDuration = SignedDuration::from_mins(1);

/// Watches the answers of STS.
#[derive(Clone)]
pub(super) struct Skew {
    clock: Clock,
    /// By so many seconds our clock was ahead. One cell for all calls: they all look at the same two clocks.
    ahead: Arc<AtomicI64>,
}

impl Skew {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            ahead: Arc::default(),
        }
    }

    /// How far this node's clock is off and what to do, if it is off.
    pub(super) fn told(&self) -> Option<String> {
        told(SignedDuration::from_secs(
            self.ahead.load(Ordering::Relaxed),
        ))
    }
}

impl Intercept for Skew {
    fn name(&self) -> &'static str {
        "Skew"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let is_from_a_cache = headers.contains_key("age"); // then the date is of long ago
        let date = headers.get("date").filter(|_| !is_from_a_cache);
        let ahead = date
            .and_then(|date| ahead(date, self.clock.now()))
            .unwrap_or_default();
        self.ahead.store(ahead.as_secs(), Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Skew").field(&self.ahead).finish()
    }
}

/// How far `now` is ahead of a date as HTTP has it, `Thu, 01 Jan 2026 00:00:00 GMT`.
pub(crate) fn ahead(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(now.duration_since(date))
}

/// In whole minutes, so that all errors of a while say the same.
fn told(ahead: SignedDuration) -> Option<String> {
    let off = SignedDuration::from_mins((ahead.abs().as_secs() + 30) / 60);
    let side = if ahead.is_negative() {
        "behind"
    } else {
        "ahead of"
    };
    (ahead.abs() > TOLERATED).then(|| {
        format!(
            "this node's clock is {off:#} {side} that of STS: set it right, and see why nothing does (NTP)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_a_minute_is_told_of_with_its_side() {
        let now = "2026-01-01T12:00:00.9Z".parse().unwrap();
        for (date, expected) in [
            ("Thu, 01 Jan 2026 12:00:00 GMT", None),
            ("Thu, 01 Jan 2026 12:01:00 GMT", None),
            ("Thu, 01 Jan 2026 11:59:01 GMT", None),
            ("Thu, 01 Jan 2026 12:10:03 GMT", Some("10m behind that")),
            ("Thu, 01 Jan 2026 10:58:00 GMT", Some("1h 2m ahead of that")),
            ("Wed, 31 Dec 2025 12:00:00 GMT", Some("24h ahead of that")),
        ] {
            let ahead = ahead(date, now).unwrap();
            let told = told(SignedDuration::from_secs(ahead.as_secs()));
            assert_eq!(told.is_some(), expected.is_some(), "{date}: {told:?}");
            let told = told.unwrap_or_default();
            assert!(told.contains(expected.unwrap_or_default()), "{told}");
        }
    }

    #[test]
    fn what_is_no_date_tells_nothing() {
        for date in ["", "now", "2026-01-01T12:00:00Z", "1767268800"] {
            assert_eq!(ahead(date, Timestamp::UNIX_EPOCH), None, "{date}");
        }
    }
}
