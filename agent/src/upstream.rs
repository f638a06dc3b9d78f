//! The real metadata service of this node: the only module that dials it.
//!
//! It is asked with the agent's own IMDSv2 token, over a connection of its own for each request, within bounds of time
//! and size. Values that do not change are remembered, and still there when it is down; those who ask for the same at
//! the same time share one request, which no client's going away ends.
//!
//! What somebody may read is decided elsewhere: whoever asks here, has leave to.

pub(crate) mod ask;
mod door;
mod error;
mod flight;
pub(crate) mod http;
mod metrics;
mod pass;
pub mod path;
mod pause;
mod service;
mod share;
mod store;
mod token;
mod warm;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{Response, http::request::Parts};
use jiff::Timestamp;
use tokio::time::{self, Instant};

use crate::{
    clock::Clock,
    config::MetadataAddr,
    drain,
    id::{Excerpt, PodUid},
    metadata::{Freshness, LASTING},
};

use flight::{Answer, Flights, Way, Wish};
use http::What;
use metrics::Origin;
use service::Service;

pub use error::Error;
pub use http::{Failure, Seconds};
pub use metrics::Metrics;

/// Who asks for something that never changes, and that we know already, does not wait longer for it to be confirmed.
const CONFIRMATION: Duration = Duration::from_millis(100);

/// The service. Copies share what is remembered.
#[derive(Clone)]
pub struct Upstream {
    service: Arc<Service>,
    flights: Arc<Flights>,
}

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The text.
    pub text: Bytes,
    /// When it last changed, says the service; if it does not, when it was read.
    pub modified: Timestamp,
}

/// Whose token a request shows that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// None, or the service's own: it goes on as it is.
    Theirs,
    /// One that we gave, and that the service does not know: our own goes in its place.
    Ours,
}

impl Upstream {
    /// The service at `addr`, of which nothing is known.
    pub fn new(addr: MetadataAddr, clock: Clock, metrics: Metrics) -> Self {
        Self::remembering(LASTING, addr, clock, metrics)
    }

    fn remembering(
        pinned: &'static [&'static str],
        addr: MetadataAddr,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        Self {
            flights: Arc::new(Flights::new(pinned, metrics.clone())),
            service: Arc::new(Service::new(addr, clock, metrics)),
        }
    }

    /// What is at `path` below `latest`, as in `meta-data/placement/region`; none if there is no such thing. `path` is
    /// decoded and canonical. It takes less than a second. What is asked for `pod` is bounded, but for what all may read.
    pub async fn read(
        &self,
        path: &str,
        freshness: Freshness,
        pod: PodUid,
    ) -> Result<Option<Item>, Error> {
        let Some(target) = path::target(path) else {
            return Ok(None);
        };
        let flight = match self.way(path, target, (freshness, Wish::Any), Some(pod)) {
            Way::Known(item) => return Ok(self.came_from(Origin::Memory, item)),
            Way::Failing(failure) => return self.fall_back(path, Err(failure)),
            Way::Flight(flight) => flight,
        };
        let Some(old) = self.flights.old(path) else {
            return self.fall_back(path, flight.landed().await);
        };
        match time::timeout(CONFIRMATION, flight.landed()).await {
            Ok(answer) => self.fall_back(path, answer),
            Err(_late) => Ok(self.came_from(Origin::Stale, Some(old))),
        }
    }

    /// Passes on the request of a pod that has the node's own identity, unchanged but for what belongs to the connection,
    /// and gives the answer likewise. Its body, if there was one, is not sent.
    pub async fn pass(&self, request: &Parts, session: Session) -> Result<Response<Bytes>, Error> {
        let passed = self.service.pass(request, session).await;
        passed.map_err(|failure| self.error(failure))
    }

    /// Reads what every pod may read before anybody asks, and again before it is old, until the drain.
    pub async fn keep_warm(&self, mut drain: drain::Watch) {
        tokio::select! {
            () = drain.signaled() => {}
            () = warm::keep(self, LASTING) => {}
        }
    }

    /// Reads what is at `path` anew.
    async fn renew(&self, path: &'static str) -> Result<Option<Item>, Error> {
        let Some(target) = path::target(path) else {
            return Ok(None);
        };
        let answer = match self.way(path, target, (Freshness::Lasting, Wish::Newer), None) {
            Way::Known(item) => Ok(item),
            Way::Failing(failure) => Err(failure),
            Way::Flight(flight) => flight.landed().await,
        };
        answer.map_err(|failure| self.error(failure))
    }

    fn way(
        &self,
        path: &str,
        target: String,
        wanted: (Freshness, Wish),
        pod: Option<PodUid>,
    ) -> Way {
        let ask = || {
            let (service, asked) = (Arc::clone(&self.service), Instant::now());
            let what = What::Owned(Excerpt::of(path).to_string());
            let freshness = wanted.0;
            async move { service.read(&what, (&target, freshness), asked).await }
        };
        self.flights.way(path, wanted, pod, ask)
    }

    /// What was asked for, or what is remembered of it.
    fn fall_back(&self, path: &str, answer: Answer) -> Result<Option<Item>, Error> {
        let failure = match answer {
            Ok(item) => return Ok(self.came_from(Origin::Service, item)),
            Err(failure) => failure,
        };
        if let Some(item) = self.flights.old(path) {
            return Ok(self.came_from(Origin::Stale, Some(item)));
        }
        self.service.metrics().read(Origin::Nothing);
        Err(self.error(failure))
    }

    fn came_from(&self, origin: Origin, item: Option<Item>) -> Option<Item> {
        self.service.metrics().read(origin);
        item
    }

    fn error(&self, failure: Arc<Failure>) -> Error {
        Error::new(self.service.addr().clone(), failure)
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("addr", self.service.addr())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
