//! The task of one identity: wait, take a turn at STS, fetch, publish. It ends only when it is aborted.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use crate::clock::Clock;

use super::{
    Credentials, Identity, Metrics, Source, SourceError, Wanted,
    board::{Board, GLANCE, Readers, Woken},
    metrics::Outcome,
    pace::Verdict,
    schedule::{self, Beginning, Demand, Jitter, Life, Need, Plan, Urgency},
    trouble::Troubles,
    turnstile::{Turn, Turnstile},
};

/// No attempt lasts longer, whatever its source does.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Office {
    source: Arc<dyn Fetch>,
    pub(super) clock: Clock,
    metrics: Metrics,
    troubles: Arc<Troubles>,
    /// To calls that the node's keys sign, ...
    node_keys: Turnstile,
    /// ... and to those that need a token first. An API server that hangs shall hold up nobody who needs none.
    tokens: Turnstile,
}

/// [`Source`] without its type.
trait Fetch: fmt::Debug + Send + Sync {
    fn fetch(self: Arc<Self>, identity: Identity) -> Pin<Box<dyn Future<Output = Answer> + Send>>;
    fn retain(&self, wanted: &Wanted);
}

type Answer = Result<Credentials, SourceError>;

impl<S: Source> Fetch for S {
    fn fetch(self: Arc<Self>, identity: Identity) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move { Source::fetch(&*self, &identity).await })
    }

    fn retain(&self, wanted: &Wanted) {
        Source::retain(self, wanted);
    }
}

impl Office {
    pub(super) fn new(source: impl Source, clock: Clock, metrics: Metrics) -> Self {
        Self {
            source: Arc::new(source),
            clock,
            metrics,
            troubles: Arc::default(),
            node_keys: Turnstile::new(),
            tokens: Turnstile::new(),
        }
    }

    /// Tells the source who is still wanted.
    pub(super) fn retain(&self, wanted: &Wanted) {
        self.source.retain(wanted);
    }

    /// How many calls wait for their turn, and how many are under way.
    pub(super) fn load(&self) -> (u64, u64) {
        let ((waiting, calls), (more_waiting, more_calls)) =
            (self.node_keys.load(), self.tokens.load());
        let waiting = waiting.saturating_add(more_waiting);
        (
            u64::try_from(waiting).unwrap_or(u64::MAX),
            u64::from(calls) + u64::from(more_calls),
        )
    }

    /// Where the calls for `identity` queue up.
    const fn turnstile(&self, identity: &Identity) -> &Turnstile {
        match identity.web_identity {
            None => &self.node_keys,
            Some(_) => &self.tokens,
        }
    }

    /// One attempt, counted and timed, that lasts as long as `turn`.
    async fn attempt(self: Arc<Self>, identity: Identity, turn: Turn) -> Answer {
        let other = match identity.web_identity {
            None => &self.tokens,
            Some(_) => &self.node_keys,
        };
        let start = Instant::now();
        let (answer, outcome) = self.isolated(identity).await;
        let verdict = verdict(&answer);
        if verdict == Some(Verdict::Throttled) {
            other.strike(start.elapsed());
        }
        turn.end(verdict);
        self.metrics
            .fetched(outcome, start.elapsed(), self.clock.now());
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

/// What an answer says about STS's strength. What may never have come to STS says nothing for it.
const fn verdict(answer: &Answer) -> Option<Verdict> {
    match answer {
        Ok(_) | Err(SourceError::Denied { .. }) => Some(Verdict::Answered),
        Err(SourceError::Throttled { .. }) => Some(Verdict::Throttled),
        Err(SourceError::Unavailable { .. }) => Some(Verdict::Silent),
        Err(SourceError::NoToken { reason, .. }) if !reason.is_final() => Some(Verdict::Silent),
        Err(SourceError::NoToken { .. } | SourceError::Invalid { .. }) => None,
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Keeper {
    identity: Identity,
    beginning: Beginning,
    office: Arc<Office>,
    board: Board,
}

impl Keeper {
    pub(super) fn new(
        identity: Identity,
        beginning: Beginning,
        office: Arc<Office>,
    ) -> (Self, Readers) {
        let (metrics, troubles) = (office.metrics.clone(), Arc::clone(&office.troubles));
        let (board, readers) = Board::new(identity.clone(), office.clock, metrics, troubles);
        let keeper = Self {
            identity,
            beginning,
            office,
            board,
        };
        (keeper, readers)
    }

    pub(super) async fn run(mut self) {
        let mut plan = schedule::first();
        let mut waiting = Woken::ByTime;
        loop {
            let woken = self.board.rest(plan).await.or(waiting);
            let (turn, woken) = self.turn(woken).await;
            let attempt = Arc::clone(&self.office).attempt(self.identity.clone(), turn);
            let answer = self.board.during(attempt).await;
            // Whoever waited for what STS throttled still does, or will be back at once.
            let throttled = matches!(answer, Err(SourceError::Throttled { .. }));
            waiting = if throttled { woken } else { Woken::ByTime };
            plan = self.take(answer);
        }
    }

    /// Queues up, and moves ahead as soon as somebody waits or the keys grow old. Says, too, whether somebody waits.
    async fn turn(&mut self, mut woken: Woken) -> (Turn, Woken) {
        let demand = self.board.demand();
        let turnstile = self.office.turnstile(&self.identity);
        let mut place = turnstile.join(Urgency::LEAST);
        loop {
            let (urgency, changes) = self.urgency(woken);
            place.hurry(urgency);
            let news = async {
                tokio::select! {
                    turn = place.turn() => Some(turn),
                    () = demand.notified(), if woken == Woken::ByTime => {
                        woken = Woken::ByDemand;
                        None
                    }
                    () = tokio::time::sleep(changes) => None,
                }
            };
            if let Some(turn) = self.board.during(news).await {
                return (turn, woken);
            }
        }
    }

    /// How urgent it is now, and for how long that holds. It is looked at now and then, whatever the clocks do.
    fn urgency(&self, woken: Woken) -> (Urgency, Duration) {
        let need = Need {
            beginning: self.beginning,
            held: self.board.held(),
            failed: self.board.failed(),
            demand: match woken {
                Woken::ByTime => Demand::None,
                Woken::ByDemand => Demand::Waits,
            },
        };
        let (urgency, changes) = schedule::urgency(&need, self.office.clock.now());
        (
            urgency,
            changes.map_or(GLANCE, |changes| changes.min(GLANCE)),
        )
    }

    /// Publishes what came, and says when to go on.
    fn take(&mut self, answer: Answer) -> Plan {
        let now = self.office.clock.now();
        match answer {
            Ok(keys) => {
                let life = Life::from(&keys);
                let first = self.board.keys(keys);
                // Should they end, nobody has others.
                self.beginning = Beginning::New;
                let outcome = schedule::Outcome::Keys(life, first);
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
