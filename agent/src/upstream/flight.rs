//! One request for all who ask for the same at the same time.
//!
//! It is a task of its own, so that no client's going away ends it. Only so many are under way at a time. What every pod
//! may read, listings among it, has its own way, which no other path can block, however slow it is and however many pods
//! ask for it. Of all else each pod has its [share](super::share).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::{self, Instant},
};

use crate::{
    id::PodUid,
    metadata::{Access, Freshness, access},
};

use super::{
    Item,
    http::Failure,
    metrics::{Metrics, Purpose},
    share::Shares,
    store::{Look, Store},
};

/// So many requests are at the service at a time, for what every pod may read, ...
const FIRST: usize = 4;
/// ... and for all else. The service limits what a node asks, together with its questions to DNS.
const OTHERS: usize = 8;
/// So many are under way in all, most of them waiting for their turn; ...
const QUEUE: usize = 64;
/// ... and none waits longer: there must be time left for the request.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a request gives.
pub(super) type Answer = Result<Option<Item>, Arc<Failure>>;

/// A request under way.
#[derive(Clone, Debug)]
pub(super) struct Flight(watch::Receiver<Option<Answer>>);

impl Flight {
    /// What it gives.
    pub(super) async fn landed(mut self) -> Answer {
        match self.0.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or_else(lost),
            Err(_nobody) => lost(),
        }
    }

    fn is_lost(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

fn lost() -> Answer {
    Err(Arc::new(Failure::Lost))
}

/// What may be done for somebody who asks.
#[derive(Debug)]
pub(super) enum Way {
    /// This is the answer.
    Known(Option<Item>),
    /// It failed a moment ago.
    Failing(Arc<Failure>),
    /// This will tell.
    Flight(Flight),
}

/// What is known, and what is under way.
#[derive(Debug)]
pub(super) struct Flights {
    state: Mutex<State>,
    first: Semaphore,
    others: Semaphore,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    store: Store,
    shares: Shares,
    under_way: HashMap<Arc<str>, Flight>,
}

impl State {
    /// Whether nobody else may wait.
    fn is_full(&mut self) -> bool {
        if self.under_way.len() >= QUEUE {
            self.under_way.retain(|_, flight| !flight.is_lost());
        }
        self.under_way.len() >= QUEUE
    }
}

/// A request for a pod. Dropping it is its end.
struct Entered(Arc<Flights>, PodUid);

impl Drop for Entered {
    fn drop(&mut self) {
        let Self(flights, pod) = self;
        flights.state().shares.leave(*pod);
    }
}

/// Whether something that is good is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It is.
    Any,
    /// It is not: it is about to become old.
    Newer,
}

impl Flights {
    pub(super) fn new(pinned: &'static [&'static str], metrics: Metrics) -> Self {
        Self {
            state: Mutex::new(State {
                store: Store::new(pinned),
                shares: Shares::default(),
                under_way: HashMap::new(),
            }),
            first: Semaphore::new(FIRST),
            others: Semaphore::new(OTHERS),
            metrics,
        }
    }

    /// The way to what is at `path`; `ask` is how it is asked for, and `pod` for whom.
    pub(super) fn way<Asked>(
        self: &Arc<Self>,
        path: &str,
        (freshness, wish): (Freshness, Wish),
        pod: Option<PodUid>,
        ask: impl FnOnce() -> Asked,
    ) -> Way
    where
        Asked: Future<Output = Answer> + Send + 'static,
    {
        let mut state = self.state();
        match state.store.look(path, Instant::now()) {
            Look::Good(item) if wish == Wish::Any => return Way::Known(item),
            Look::Failing(failure) => return Way::Failing(failure),
            Look::Good(_) | Look::Nothing => {}
        }
        if let Some(flight) = state.under_way.get(path)
            && !flight.is_lost()
        {
            return Way::Flight(flight.clone());
        }
        let is_first = state.store.is_pinned(path) || access(path) == Access::Pods;
        let pod = pod.filter(|_| !is_first);
        let has_room = is_first || !state.is_full();
        if !(has_room && pod.is_none_or(|pod| state.shares.enter(pod))) {
            drop(state);
            self.metrics.turned_away(Purpose::Read);
            return Way::Failing(Arc::new(Failure::Busy));
        }
        let (landing, flight) = watch::channel(None);
        let (flight, path) = (Flight(flight), Arc::<str>::from(path));
        state.under_way.insert(Arc::clone(&path), flight.clone());
        drop(state);
        let share = pod.map(|pod| Entered(Arc::clone(self), pod));
        let (this, asked) = (Arc::clone(self), ask());
        tokio::spawn(async move {
            let _share = share;
            let answer = this.in_turn(is_first, asked).await;
            this.land(&path, freshness, &answer);
            landing.send_replace(Some(answer));
        });
        Way::Flight(flight)
    }

    /// What was at `path`, if it is something that never changes.
    pub(super) fn old(&self, path: &str) -> Option<Item> {
        self.state().store.old(path)
    }

    /// How many paths are remembered, and how many are under way.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> [usize; 2] {
        let state = self.state();
        [state.store.len(), state.under_way.len()]
    }

    async fn in_turn(&self, is_first: bool, asked: impl Future<Output = Answer>) -> Answer {
        let turns = if is_first { &self.first } else { &self.others };
        match time::timeout(PATIENCE, turns.acquire()).await {
            Ok(_turn) => asked.await,
            Err(_late) => {
                self.metrics.turned_away(Purpose::Read);
                Err(Arc::new(Failure::Busy))
            }
        }
    }

    fn land(&self, path: &Arc<str>, freshness: Freshness, answer: &Answer) {
        let mut state = self.state();
        state.under_way.remove(path);
        state.store.learn(path, freshness, answer, Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
