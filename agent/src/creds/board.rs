//! Where the task of an identity publishes, and the guarantees that its readers have.
//!
//! Keys that are published are valid, and never replaced by keys that end earlier. They are withdrawn before
//! they end, also when the wall clock jumps or nothing else happens. When the task ends, in whatever way,
//! readers see a failure rather than the last keys for ever.

use std::{mem, pin::pin, sync::Arc, thread, time::Duration};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::clock::Clock;

use super::{
    Credentials, Identity, Lasting, Metrics, SourceError, State,
    schedule::{Deadline, First, Life, Plan},
    trouble::{self, Troubles},
};

/// How often the clocks are compared while waiting: a jump is noticed within this time.
pub(super) const GLANCE: Duration = Duration::from_secs(10);

/// How the work on an identity goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Why the last attempt failed, if it did.
    pub(super) failure: Option<Arc<SourceError>>,
    /// How many attempts in a row have failed in this way.
    pub(super) failures: u32,
    /// When the next attempt is made; none while one waits for its turn or is under way.
    pub(super) next: Option<Timestamp>,
}

/// What readers of an identity hold on to.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) states: watch::Receiver<State>,
    pub(super) progress: watch::Receiver<Progress>,
    /// Told by those who wait.
    pub(super) demand: Arc<Notify>,
}

impl Readers {
    /// What there is, now and later, for somebody who waits if it is no keys.
    pub(super) fn ask(&self) -> watch::Receiver<State> {
        let states = self.states.clone();
        if !matches!(*states.borrow(), State::Ready(_)) {
            self.demand.notify_one();
        }
        states
    }
}

/// Why a rest is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// It is time.
    ByTime,
    /// Somebody waits.
    ByDemand,
}

impl Woken {
    /// By demand, if one of them is.
    pub(super) fn or(self, other: Self) -> Self {
        match self {
            Self::ByTime => other,
            Self::ByDemand => self,
        }
    }
}

/// The writing end, owned by the task.
#[derive(Debug)]
pub(super) struct Board {
    identity: Identity,
    clock: Clock,
    metrics: Metrics,
    troubles: Arc<Troubles>,
    states: watch::Sender<State>,
    progress: watch::Sender<Progress>,
    demand: Arc<Notify>,
    held: Option<Held>,
    first: First,
}

#[derive(Debug)]
struct Held {
    life: Life,
    end: Deadline,
}

impl Board {
    /// A board that says [`State::Fetching`], and what its readers need.
    pub(super) fn new(
        identity: Identity,
        clock: Clock,
        metrics: Metrics,
        troubles: Arc<Troubles>,
    ) -> (Self, Readers) {
        let (states, states_rx) = watch::channel(State::Fetching);
        let (progress, progress_rx) = watch::channel(Progress::default());
        let demand = Arc::new(Notify::new());
        let readers = Readers {
            states: states_rx,
            progress: progress_rx,
            demand: Arc::clone(&demand),
        };
        let board = Self {
            identity,
            clock,
            metrics,
            troubles,
            states,
            progress,
            demand,
            held: None,
            first: First::Yes,
        };
        (board, readers)
    }

    /// How long the published keys last.
    pub(super) fn held(&self) -> Option<Life> {
        self.held.as_ref().map(|held| held.life)
    }

    /// How many attempts have failed in a row, all in the way of the last one.
    pub(super) fn failures(&self) -> u32 {
        self.progress.borrow().failures
    }

    /// How many attempts in a row have failed like this one, before it.
    fn failures_like(&self, error: &SourceError) -> u32 {
        match self.failed() {
            Some(lasting) if lasting == error.lasting() => self.failures(),
            Some(_) | None => 0,
        }
    }

    /// How long the last failure is going to last, if the last attempt failed.
    pub(super) fn failed(&self) -> Option<Lasting> {
        let progress = self.progress.borrow();
        progress.failure.as_ref().map(|failure| failure.lasting())
    }

    /// Told by those who wait. Whoever hears it once, does not hear it again.
    pub(super) fn demand(&self) -> Arc<Notify> {
        Arc::clone(&self.demand)
    }

    /// An attempt gave `keys`. Says whether there were any before.
    pub(super) fn keys(&mut self, keys: Credentials) -> First {
        let first = mem::replace(&mut self.first, First::No);
        self.progress.send_replace(Progress::default());
        self.troubles.worked(&self.identity);
        let (role, session) = (&self.identity.role, &*self.identity.session_name);
        let expires = keys.expires;
        match first {
            First::Yes => tracing::info!(%role, session, %expires, "credentials obtained"),
            First::No => tracing::debug!(%role, session, %expires, "credentials renewed"),
        }
        let (life, now, instant) = (Life::from(&keys), self.clock.now(), Instant::now());
        let held = self.held.as_ref();
        if held.is_some_and(|held| held.end.left(instant, now) > life.left(now)) {
            tracing::debug!(%role, session, "they end before those that are out; not published");
            return first;
        }
        self.held = Some(Held {
            life,
            end: Deadline::after(life.left(now), instant, now),
        });
        self.states.send_replace(State::Ready(Arc::new(keys)));
        self.nobody_waits();
        first
    }

    /// An attempt gave no keys. Those that are out stay.
    pub(super) fn failure(&mut self, error: Arc<SourceError>) {
        self.progress.send_replace(Progress {
            failure: Some(Arc::clone(&error)),
            failures: self.failures_like(&error).saturating_add(1),
            next: None,
        });
        let held = match self.held {
            Some(_) => trouble::Held::Keys,
            None => trouble::Held::Nothing,
        };
        self.troubles.failed(&self.identity, &error, held);
        if self.held.is_none() {
            self.states.send_replace(State::Failed(error));
        }
    }

    /// Waits as `plan` says, by either clock, and no longer than the keys last. What is known to be refused is not known
    /// any more when it has been quiet for long enough: then whoever asks is let in.
    pub(super) async fn rest(&mut self, plan: Plan) -> Woken {
        let (clock, now, instant) = (self.clock, self.clock.now(), Instant::now());
        let deadline = |delay| Deadline::after(delay, instant, now);
        let next = now.saturating_add(plan.attempt).ok();
        self.progress.send_modify(|progress| progress.next = next);
        let woken = match self
            .unless_keys_end(wait(deadline(plan.quiet), clock))
            .await
        {
            Some(()) if plan.quiet < plan.attempt => {
                self.forget();
                let demand = self.demand();
                let work = async {
                    tokio::select! {
                        biased;
                        () = wait(deadline(plan.attempt), clock) => Woken::ByTime,
                        () = demand.notified() => Woken::ByDemand,
                    }
                };
                self.unless_keys_end(work).await.unwrap_or(Woken::ByTime)
            }
            Some(()) | None => Woken::ByTime,
        };
        self.progress.send_modify(|progress| progress.next = None);
        woken
    }

    /// A refusal has been remembered for long enough.
    fn forget(&self) {
        let forgotten = self.states.send_if_modified(|state| {
            let refused = matches!(state, State::Failed(error) if error.is_final());
            if refused {
                *state = State::Fetching;
            }
            refused
        });
        if forgotten {
            self.nobody_waits();
        }
    }

    /// Whoever asked has his answer.
    fn nobody_waits(&self) {
        let _heard = self.demand.notified().now_or_never();
    }

    /// Does `work`; if the keys end before it is done, withdraws them instead.
    async fn unless_keys_end<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let Some(end) = self.held.as_ref().map(|held| held.end) else {
            return Some(work.await);
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = wait(end, self.clock) => {
                self.withdraw();
                None
            }
        }
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
        let failure = self.progress.borrow().failure.clone();
        self.troubles.ended(&self.identity, failure.as_deref());
        self.held = None;
        self.states
            .send_replace(failure.map_or(State::Fetching, State::Failed));
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if thread::panicking() {
            self.metrics.crashed();
        }
        self.troubles.gone(&self.identity);
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
        let (board, readers) =
            Board::new(identity, Clock::system(), metrics.clone(), Arc::default());
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
        let (board, readers) =
            Board::new(identity, Clock::system(), metrics.clone(), Arc::default());
        drop(board);
        assert!(matches!(*readers.states.borrow(), State::Failed(_)));
        assert_eq!(metrics.crashes(), 0);
    }
}
