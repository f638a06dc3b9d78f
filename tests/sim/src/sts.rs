//! STS, as one account has it in one region: so many calls a second for all nodes together.

use std::{ops::Range, time::Duration};

use bpf2iam::creds::{pace::Moment, schedule::Jitter};

use crate::{bucket::Bucket, rates::Rates};

/// How long an answer with keys takes.
const ANSWER: Range<Duration> = Duration::from_millis(60)..Duration::from_millis(100);
/// How long it takes STS to say that there were too many calls.
const THROTTLED: Range<Duration> = Duration::from_millis(20)..Duration::from_millis(40);
/// How long it takes to learn that nobody listens.
const REFUSED: Range<Duration> = Duration::from_millis(1)..Duration::from_millis(20);
/// How long the agent waits for a connection.
const UNANSWERED: Duration = Duration::from_secs(2);

/// How one call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// With keys.
    Keys,
    /// Too many calls.
    Throttled,
    /// Not at all.
    Nothing,
}

/// How STS is gone while it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Packets are lost.
    Silent,
    /// Connections are refused.
    Refused,
}

/// The service.
#[derive(Debug)]
pub(crate) struct Sts {
    bucket: Bucket,
    outage: Option<(Range<Moment>, Outage)>,
    /// All calls, also those that never came to STS.
    pub(crate) calls: Rates,
    /// Those that it throttled.
    pub(crate) throttled: Rates,
}

impl Sts {
    /// One that takes `rate` calls a second, and `burst` at once after a rest.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        Self {
            bucket: Bucket::new(rate, burst),
            outage: None,
            calls: Rates::default(),
            throttled: Rates::default(),
        }
    }

    /// Lets it be gone for some time.
    pub(crate) fn gone(&mut self, time: Range<Moment>, outage: Outage) {
        self.outage = Some((time, outage));
    }

    /// A call: how it ends, and after what time.
    pub(crate) fn call(&mut self, now: Moment, jitter: Jitter) -> (Reply, Duration) {
        self.calls.count(now);
        let within = |span: Range<Duration>| jitter.between(span.start, span.end);
        match &self.outage {
            Some((time, Outage::Silent)) if time.contains(&now) => (Reply::Nothing, UNANSWERED),
            Some((time, Outage::Refused)) if time.contains(&now) => {
                (Reply::Nothing, within(REFUSED))
            }
            Some(_) | None if self.bucket.take(now) => (Reply::Keys, within(ANSWER)),
            Some(_) | None => {
                self.throttled.count(now);
                (Reply::Throttled, within(THROTTLED))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_answer_in_an_outage_and_one_before_and_after() {
        for (seconds, outage, wanted) in [
            (9, Outage::Silent, Reply::Keys),
            (10, Outage::Silent, Reply::Nothing),
            (19, Outage::Refused, Reply::Nothing),
            (20, Outage::Refused, Reply::Keys),
        ] {
            let mut sts = Sts::new(1, 1);
            sts.gone(Duration::from_secs(10)..Duration::from_secs(20), outage);
            let (reply, _) = sts.call(Duration::from_secs(seconds), Jitter::new(0.5));
            assert_eq!(reply, wanted, "at {seconds} s");
        }
    }

    #[test]
    fn what_is_too_much_is_throttled_and_both_are_counted() {
        let mut sts = Sts::new(2, 3);
        let replies = [0; 5].map(|_| sts.call(Duration::ZERO, Jitter::new(0.0)).0);
        let (keys, throttled) = (Reply::Keys, Reply::Throttled);
        assert_eq!(replies, [keys, keys, keys, throttled, throttled]);
        let all = Duration::ZERO..Duration::from_secs(1);
        assert_eq!(sts.calls.total(all.clone()), 5);
        assert_eq!(sts.throttled.total(all), 2);
    }
}
