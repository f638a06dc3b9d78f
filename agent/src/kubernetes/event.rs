//! Notices as Events of Kubernetes (`events.k8s.io/v1`), which `kubectl describe pod` shows.
//!
//! Whoever has a notice puts it into a short queue and goes on; a task writes what is in it, one at a time. What is too
//! much, for a pod, for a namespace or in all, is dropped and counted, and so is what the API server does not take: no
//! attempt is repeated here. Who tells is told of both ([`Crier::unheard`]), and a notice that lasts comes again.
//!
//! Written by hand rather than with `kube::runtime::events::Recorder`: that one forgets an Event after six minutes, so
//! that ours would never become a series; it takes a note that changed for the one before; and its memory has no bound.
//! Here a name that follows from the content takes the place of memory.

mod metrics;
mod object;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::api::events::v1::Event;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    core::Status,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{self, Instant},
};

use crate::{
    chain::chain,
    clock::Clock,
    drain,
    notices::{Crier, Limit, Notice},
};

pub use metrics::Metrics;

use super::refusal::{self, Manifest};
use metrics::Outcome;

/// So many notices wait to be written. They are many only where the API server is slow, and then they wait for nothing.
const WAITING: usize = 128;

/// So many that nobody heard are remembered until they are asked for. Others come again later.
const UNHEARD: usize = 1024;

/// What the agent has to be allowed.
const EVENTS: &str = "create and patch events.events.k8s.io";

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes the two ends of the queue: `node` is who reports.
pub fn new(client: Client, node: &str, clock: Clock, metrics: Metrics) -> (Events, Writer) {
    let (queue, waiting) = mpsc::channel(WAITING);
    let unheard = Unheard::default();
    let events = Events {
        queue,
        limit: Mutex::default(),
        unheard: unheard.clone(),
        metrics: metrics.clone(),
    };
    let writer = Writer {
        waiting,
        client,
        node: object::instance(node),
        clock,
        unheard,
        metrics,
        failing: false,
    };
    (events, writer)
}

/// Takes notices. It never waits.
#[derive(Debug)]
pub struct Events {
    queue: mpsc::Sender<Notice>,
    limit: Mutex<Limit>,
    unheard: Unheard,
    metrics: Metrics,
}

/// What became no Event.
#[derive(Clone, Debug, Default)]
struct Unheard(Arc<Mutex<Vec<Notice>>>);

impl Unheard {
    fn add(&self, notice: Notice) {
        let mut notices = self.notices();
        if notices.len() < UNHEARD {
            notices.push(notice);
        }
    }

    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices())
    }

    fn notices(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events {
    fn allows(&self, notice: &Notice) -> bool {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.allows(&notice.pod, notice.uid, Instant::now())
    }
}

impl Crier for Events {
    fn tell(&self, notice: Notice) {
        let refused = if self.allows(&notice) {
            let sent = self.queue.try_send(notice);
            sent.err().map(TrySendError::into_inner)
        } else {
            Some(notice)
        };
        if let Some(notice) = refused {
            self.metrics.ended(Outcome::Dropped);
            self.unheard.add(notice);
        }
    }

    fn unheard(&self) -> Vec<Notice> {
        self.unheard.take()
    }
}

/// Writes Events.
pub struct Writer {
    waiting: mpsc::Receiver<Notice>,
    client: Client,
    node: Arc<str>,
    clock: Clock,
    unheard: Unheard,
    metrics: Metrics,
    /// Whether the last Event was not taken.
    failing: bool,
}

/// Why an Event was not written.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{}", refusal::words(.0))]
    Refused(Box<Status>),
    #[error("{}", chain(.0))]
    Client(kube::Error),
    #[error("nothing within {PATIENCE:?}")]
    TimedOut,
}

impl Writer {
    /// Writes what is queued until the end has come, or nobody queues anything any more.
    pub async fn run(mut self, mut drain: drain::Watch) {
        loop {
            let notice = tokio::select! {
                () = drain.signaled() => return,
                notice = self.waiting.recv() => notice,
            };
            let Some(notice) = notice else { return };
            let written = tokio::select! {
                () = drain.signaled() => return,
                written = self.write(&notice) => written,
            };
            self.learn(notice, written);
        }
    }

    /// An Event that there may be is counted up; one that there is not is made.
    async fn write(&self, notice: &Notice) -> Result<(), Error> {
        if notice.times > 1 {
            match self.count(notice, notice.times).await {
                Err(Error::Refused(status)) if status.code == 404 => {}
                other => return other,
            }
        }
        match self.create(notice).await {
            Err(Error::Refused(status)) if status.code == 409 => {
                // Another agent on this node, before us, said the same.
                self.count(notice, notice.times.max(2)).await
            }
            other => other,
        }
    }

    async fn create(&self, notice: &Notice) -> Result<(), Error> {
        let event = object::event(notice, &self.node, self.clock.now());
        let (events, params) = (self.events(notice), PostParams::default());
        bounded(events.create(&params, &event)).await
    }

    async fn count(&self, notice: &Notice, times: u32) -> Result<(), Error> {
        let patch = Patch::Merge(object::series(times, self.clock.now()));
        let (events, params) = (self.events(notice), PatchParams::default());
        bounded(events.patch(&object::name(notice), &params, &patch)).await
    }

    fn events(&self, notice: &Notice) -> Api<Event> {
        Api::namespaced(self.client.clone(), notice.pod.namespace())
    }

    /// Counts, and says once that it does not work.
    fn learn(&mut self, notice: Notice, written: Result<(), Error>) {
        let Err(error) = written else {
            self.metrics.ended(Outcome::Sent);
            if std::mem::take(&mut self.failing) {
                tracing::info!("the API server takes Events again");
            }
            return;
        };
        self.metrics.ended(Outcome::Failed);
        let (pod, error) = (&notice.pod, error.explained(&notice));
        if std::mem::replace(&mut self.failing, true) {
            tracing::debug!(%pod, error, "an Event was not written");
        } else {
            tracing::warn!(%pod, error, "an Event was not written, nor may be further ones");
        }
        self.unheard.add(notice);
    }
}

impl Error {
    /// What the operator should know of it.
    fn explained(&self, notice: &Notice) -> String {
        match self {
            Self::Refused(status) if status.is_forbidden() && !refusal::is_of_policy(status) => {
                let (manifest, namespace) = (Manifest::Rbac, notice.pod.namespace());
                refusal::lack(EVENTS, manifest, namespace, &self.to_string())
            }
            Self::Refused(_) | Self::Client(_) | Self::TimedOut => self.to_string(),
        }
    }
}

async fn bounded(answer: impl Future<Output = kube::Result<Event>>) -> Result<(), Error> {
    match time::timeout(PATIENCE, answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(kube::Error::Api(status))) => Err(Error::Refused(status)),
        Ok(Err(error)) => Err(Error::Client(error)),
        Err(_) => Err(Error::TimedOut),
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
