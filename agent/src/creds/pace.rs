//! The pace of the whole agent at STS: so many calls at a time, and none for a while when STS throttles.
//!
//! The quota at STS is shared by every node of an account. Only tasks that fetch come by here, so pods whose
//! keys are in memory notice nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    Identity,
    metrics::Outcome,
    schedule::{self, Jitter},
};

/// Calls under way at a time in each lane: a full node (110 pods) is served in about a second, and a fleet that
/// starts does not ask for everything in the same instant.
const AT_A_TIME: usize = 16;

/// Lets tasks call STS.
#[derive(Debug)]
pub(super) struct Pace {
    node_keys: Semaphore,
    tokens: Semaphore,
    throttle: Mutex<Throttle>,
}

/// Those who queue up together. An API server that hangs shall hold up nobody who needs no token of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Calls that the node's keys sign.
    NodeKeys,
    /// Calls that need a token first.
    Tokens,
}

impl Lane {
    /// Where the calls for `identity` queue up.
    pub(super) const fn of(identity: &Identity) -> Self {
        match identity.web_identity {
            None => Self::NodeKeys,
            Some(_) => Self::Tokens,
        }
    }
}

/// What STS said last about our rate.
#[derive(Clone, Copy, Debug, Default)]
struct Throttle {
    /// How often in a row, calls that were under way at the same time counted once.
    strikes: u32,
    /// Nobody calls before.
    until: Option<Instant>,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self {
            node_keys: Semaphore::const_new(AT_A_TIME),
            tokens: Semaphore::const_new(AT_A_TIME),
            throttle: Mutex::new(Throttle {
                strikes: 0,
                until: None,
            }),
        }
    }

    /// Waits until it is the caller's turn in its lane, which lasts until the permit is dropped.
    pub(super) async fn turn(&self, lane: Lane) -> SemaphorePermit<'_> {
        let permits = match lane {
            Lane::NodeKeys => &self.node_keys,
            Lane::Tokens => &self.tokens,
        };
        loop {
            let throttle = *self.throttle();
            if let Some(until) = throttle.ahead() {
                // Not all at the same moment.
                let spread = schedule::backoff(throttle.strikes, Jitter::random());
                tokio::time::sleep_until(until + spread).await;
            }
            let permit = permits.acquire().await;
            let permit = permit.expect("nobody closes the semaphore");
            if self.throttle().ahead().is_none() {
                return permit;
            }
        }
    }

    /// Learns how a call ended.
    pub(super) fn learn(&self, outcome: Outcome) {
        let mut throttle = self.throttle();
        if throttle.ahead().is_some() {
            return; // the call was under way when STS began to throttle
        }
        match outcome {
            Outcome::Throttled => {
                throttle.strikes = throttle.strikes.saturating_add(1);
                let pause = schedule::backoff(throttle.strikes, Jitter::random());
                throttle.until = Some(Instant::now() + pause);
            }
            Outcome::Success | Outcome::Denied | Outcome::Invalid => throttle.strikes = 0,
            Outcome::Unavailable | Outcome::NoToken | Outcome::Panicked => {}
        }
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Throttle {
    /// The end of the pause, if it is still to come.
    fn ahead(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_call_at_a_time_in_a_lane() {
        let pace = Pace::new();
        let mut turns = Vec::new();
        for _ in 0..AT_A_TIME {
            turns.push(pace.turn(Lane::NodeKeys).await);
        }
        let patience = Duration::from_mins(1);
        let other = pace.turn(Lane::Tokens);
        assert!(tokio::time::timeout(patience, other).await.is_ok());
        let one_more = pace.turn(Lane::NodeKeys);
        assert!(tokio::time::timeout(patience, one_more).await.is_err());
        drop(turns.pop());
        let one_more = pace.turn(Lane::NodeKeys);
        assert!(tokio::time::timeout(patience, one_more).await.is_ok());
        drop(turns);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_makes_everybody_wait_and_a_good_one_ends_that() {
        let pace = Pace::new();
        let mut waited = Vec::new();
        for _ in 0..8 {
            pace.learn(Outcome::Throttled);
            let start = Instant::now();
            drop(pace.turn(Lane::NodeKeys).await);
            waited.push(start.elapsed());
        }
        assert!(
            waited
                .iter()
                .all(|wait| *wait >= Duration::from_millis(400)),
            "{waited:?}"
        );
        assert!(
            waited.iter().all(|wait| *wait <= Duration::from_secs(121)),
            "{waited:?}"
        );
        assert!(
            waited.iter().max() > Some(&Duration::from_secs(2)),
            "{waited:?}"
        );

        pace.learn(Outcome::Success);
        assert_eq!(pace.throttle().strikes, 0);
        let start = Instant::now();
        drop(pace.turn(Lane::NodeKeys).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_count_as_one() {
        let pace = Pace::new();
        for _ in 0..AT_A_TIME {
            pace.learn(Outcome::Throttled);
        }
        assert_eq!(pace.throttle().strikes, 1);
        pace.learn(Outcome::Success);
        assert!(pace.throttle().ahead().is_some());
    }
}
