//! Where the task of an identity publishes, and the guarantees that its readers have.
//!
//! Keys that are published are valid, and never replaced by keys that end earlier. They are withdrawn before
//! they end, also when the wall clock jumps or nothing else happens. When the task ends, in whatever way,
//! readers see a failure rather than the last keys for ever.

use std::{mem, pin::pin, sync::Arc, thread, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use crate::clock::Clock;

use super::{
    Credentials, Identity, Metrics, SourceError, State,
    schedule::{Deadline, Life},
};

/// How often the clocks are compared while waiting: a jump is noticed within this time.
const GLANCE: Duration = Duration::from_secs(30);

/// How the work on an identity goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Why the last attempt failed, if it did.
    pub(super) failure: Option<Arc<SourceError>>,
    /// How many attempts have failed since the last good one.
    pub(super) failures: u32,
    /// When the next attempt is made; none while one is under way.
    pub(super) next: Option<Timestamp>,
}

/// What readers of an identity hold on to.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) states: watch::Receiver<State>,
    pub(super) progress: watch::Receiver<Progress>,
}

/// The writing end, owned by the task.
#[derive(Debug)]
pub(super) struct Board {
    identity: Identity,
    clock: Clock,
    metrics: Metrics,
    states: watch::Sender<State>,
    progress: watch::Sender<Progress>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    life: Life,
    end: Deadline,
}

impl Board {
    /// A board that says [`State::Fetching`], and what its readers need.
    pub(super) fn new(identity: Identity, clock: Clock, metrics: Metrics) -> (Self, Readers) {
        let (states, states_rx) = watch::channel(State::Fetching);
        let (progress, progress_rx) = watch::channel(Progress::default());
        let readers = Readers {
            states: states_rx,
            progress: progress_rx,
        };
        let board = Self {
            identity,
            clock,
            metrics,
            states,
            progress,
            held: None,
        };
        (board, readers)
    }

    /// How long the published keys last.
    pub(super) fn held(&self) -> Option<Life> {
        self.held.as_ref().map(|held| held.life)
    }

    /// How many attempts have failed since the last good one.
    pub(super) fn failures(&self) -> u32 {
        self.progress.borrow().failures
    }

    /// An attempt gave `keys`.
    pub(super) fn keys(&mut self, keys: Credentials) {
        let before = self.progress.send_replace(Progress::default());
        let (role, session) = (&self.identity.role, &*self.identity.session_name);
        let expires = keys.expires;
        if self.held.is_some() && before.failure.is_none() {
            tracing::debug!(%role, session, %expires, "credentials renewed");
        } else {
            tracing::info!(%role, session, %expires, "credentials obtained");
        }
        if self.held().is_some_and(|held| held.expires > expires) {
            tracing::debug!(%role, session, "they end before those that are out; not published");
            return;
        }
        let (life, now) = (Life::from(&keys), self.clock.now());
        self.held = Some(Held {
            life,
            end: Deadline::after(life.left(now), Instant::now(), now),
        });
        self.states.send_replace(State::Ready(Arc::new(keys)));
    }

    /// An attempt gave no keys. Those that are out stay.
    pub(super) fn failure(&mut self, error: Arc<SourceError>) {
        let before = self.progress.send_replace(Progress {
            failure: Some(Arc::clone(&error)),
            failures: self.failures().saturating_add(1),
            next: None,
        });
        let (role, session) = (&self.identity.role, &*self.identity.session_name);
        let known = before
            .failure
            .is_some_and(|before| mem::discriminant(&*before) == mem::discriminant(&*error));
        if known {
            tracing::debug!(%role, session, %error, "still no new credentials");
        } else {
            tracing::warn!(%role, session, %error, "no new credentials");
        }
        if self.held.is_none() {
            self.states.send_replace(State::Failed(error));
        }
    }

    /// Waits for `delay` to pass by either clock.
    pub(super) async fn rest(&mut self, delay: Duration) {
        let clock = self.clock;
        let now = clock.now();
        let next = now.saturating_add(delay).ok();
        self.progress.send_modify(|progress| progress.next = next);
        self.during(wait(Deadline::after(delay, Instant::now(), now), clock))
            .await;
        self.progress.send_modify(|progress| progress.next = None);
    }

    /// Does `work`, and withdraws the keys if they end meanwhile.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let Some(end) = self.held.as_ref().map(|held| held.end) else {
                return work.await;
            };
            tokio::select! {
                biased; // new keys come before the withdrawal of the old
                done = &mut work => return done,
                () = wait(end, self.clock) => self.withdraw(),
            }
        }
    }

    fn withdraw(&mut self) {
        let (role, session) = (&self.identity.role, &*self.identity.session_name);
        tracing::warn!(%role, session, "the credentials end before there are new ones");
        self.held = None;
        let failure = self.progress.borrow().failure.clone();
        self.states
            .send_replace(failure.map_or(State::Fetching, State::Failed));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if thread::panicking() {
            self.metrics.crashed();
        }
        let ended = SourceError::Unavailable {
            role: self.identity.role.clone(),
            message: "nobody renews its credentials any more".to_owned(),
        };
        self.states.send_replace(State::Failed(Arc::new(ended)));
    }
}

async fn wait(deadline: Deadline, clock: Clock) {
    loop {
        let left = deadline.left(Instant::now(), clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_task_is_counted_and_leaves_nobody_waiting() {
        let identity = Identity::new("arn:aws:iam::123456789012:role/r".parse().unwrap(), "node");
        let metrics = Metrics::new();
        let (board, readers) = Board::new(identity, Clock::system(), metrics.clone());
        let task = tokio::spawn(async move {
            let _board = board;
            panic!("a fault of ours");
        });
        assert!(task.await.is_err());
        assert!(matches!(*readers.states.borrow(), State::Failed(_)));
        assert_eq!(metrics.crashes(), 1);
    }

    #[tokio::test]
    async fn an_end_without_a_panic_is_not_counted() {
        let identity = Identity::new("arn:aws:iam::123456789012:role/r".parse().unwrap(), "node");
        let metrics = Metrics::new();
        let (board, readers) = Board::new(identity, Clock::system(), metrics.clone());
        drop(board);
        assert!(matches!(*readers.states.borrow(), State::Failed(_)));
        assert_eq!(metrics.crashes(), 0);
    }
}
