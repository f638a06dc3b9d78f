//! The task of one identity: fetch, publish, wait, fetch. It ends only when it is aborted.

use std::{collections::HashSet, fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::clock::Clock;

use super::{
    Credentials, Identity, Metrics, Source, SourceError,
    board::{Board, Readers},
    metrics::Outcome,
    pace::{Lane, Pace},
    schedule::{self, Jitter, Life},
};

/// No attempt lasts longer, whatever its source does.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Office {
    source: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    metrics: Metrics,
    pace: Pace,
}

/// [`Source`] without its type.
trait Fetch: fmt::Debug + Send + Sync {
    fn fetch(self: Arc<Self>, identity: Identity) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
    fn retain(&self, wanted: &HashSet<Identity>);
}

type Answer = Result<Credentials, SourceError>;

impl<S: Source> Fetch for S {
    fn fetch(self: Arc<Self>, identity: Identity) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move { Source::fetch(&*self, &identity).await })
    }

    fn retain(&self, wanted: &HashSet<Identity>) {
        Source::retain(self, wanted);
    }
}

impl Office {
    pub(super) fn new(source: impl Source, clock: Clock, metrics: Metrics) -> Self {
        Self {
            source: Arc::new(source),
            clock,
            metrics,
            pace: Pace::new(),
        }
    }

    /// Tells the source who is still wanted.
    pub(super) fn retain(&self, wanted: &HashSet<Identity>) {
        self.source.retain(wanted);
    }

    /// One attempt, counted and timed.
    async fn attempt(self: Arc<Self>, identity: Identity) -> Answer {
        let turn = self.pace.turn(Lane::of(&identity)).await;
        let start = Instant::now();
        let (answer, outcome) = self.isolated(identity).await;
        drop(turn);
        self.metrics
            .fetched(outcome, start.elapsed(), self.clock.now());
        self.pace.learn(outcome);
        answer
    }

    /// The call itself: bounded, and in a task of its own, so that a panic in it is one failed attempt.
    async fn isolated(&self, identity: Identity) -> (Answer, Outcome) {
        let role = identity.role.clone();
        let unavailable = |message: String| Err(SourceError::Unavailable { role, message });
        let mut task = JoinSet::new(); // aborts the call when it is dropped
        let call = Arc::clone(&self.source).fetch(identity);
        task.spawn(tokio::time::timeout(PATIENCE, call));
        let answer = match task.join_next().await {
            Some(Ok(Ok(answer))) => answer.and_then(|keys| self.usable(keys, unavailable)),
            Some(Ok(Err(_))) => unavailable(format!("nothing within {PATIENCE:?}")),
            Some(Err(_)) | None => {
                let answer = unavailable("the attempt panicked, see the log".to_owned());
                return (answer, Outcome::Panicked);
            }
        };
        let outcome = Outcome::from(&answer);
        (answer, outcome)
    }

    /// `keys`, unless they have ended by this node's clock.
    fn usable(&self, keys: Credentials, unavailable: impl FnOnce(String) -> Answer) -> Answer {
        let now = self.clock.now();
        if Life::from(&keys).left(now).is_zero() {
            let expires = keys.expires;
            return unavailable(format!(
                "its keys end at {expires}, and this node's clock says {now}"
            ));
        }
        Ok(keys)
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Keeper {
    identity: Identity,
    office: Arc<Office>,
    board: Board,
}

impl Keeper {
    pub(super) fn new(identity: Identity, office: Arc<Office>) -> (Self, Readers) {
        let (board, readers) = Board::new(identity.clone(), office.clock, office.metrics.clone());
        let keeper = Self {
            identity,
            office,
            board,
        };
        (keeper, readers)
    }

    pub(super) async fn run(mut self) {
        loop {
            let attempt = Arc::clone(&self.office).attempt(self.identity.clone());
            let answer = self.board.during(attempt).await;
            let delay = self.take(answer);
            self.board.rest(delay).await;
        }
    }

    /// Publishes what came, and says how long to wait.
    fn take(&mut self, answer: Answer) -> Duration {
        let now = self.office.clock.now();
        match answer {
            Ok(keys) => {
                let outcome = schedule::Outcome::Keys(Life::from(&keys));
                self.board.keys(keys);
                schedule::next(outcome, self.board.held(), now, Jitter::random())
            }
            Err(error) => {
                let error = Arc::new(error);
                self.board.failure(Arc::clone(&error));
                let outcome = schedule::Outcome::Failure {
                    error: &error,
                    failures: self.board.failures(),
                };
                schedule::next(outcome, self.board.held(), now, Jitter::random())
            }
        }
    }
}
