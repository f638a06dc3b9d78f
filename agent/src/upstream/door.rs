//! The only way to the service: every request is counted, and where nobody is, nobody knocks for a moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hyper::Response;
use tokio::time::Instant;

use crate::{clock::Clock, config::MetadataAddr};

use super::{
    http::{self, Bounds, Failure, Question, What},
    metrics::{Metrics, Outcome, Purpose},
    pause::Pause,
};

/// Where the service is, and whether it was there.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) addr: MetadataAddr,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    shut: Mutex<Option<Pause>>,
}

impl Door {
    pub(super) const fn new(addr: MetadataAddr, clock: Clock, metrics: Metrics) -> Self {
        Self {
            addr,
            clock,
            metrics,
            shut: Mutex::new(None),
        }
    }

    /// Sends `question`, unless nobody was there a moment ago.
    pub(super) async fn send(
        &self,
        purpose: Purpose,
        what: &What,
        question: Question,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, Arc<Failure>> {
        let start = Instant::now();
        let shut = self.shut().as_ref().and_then(|pause| pause.answer(start));
        if let Some(failure) = shut {
            return Err(failure);
        }
        let answer = http::send(&self.addr, what, question, bounds).await;
        let outcome = Outcome::of(&answer);
        let now = self.clock.now();
        self.metrics.asked(purpose, outcome, start.elapsed(), now);
        let answer = answer.map_err(Arc::new);
        self.learn(answer.as_ref().err());
        answer
    }

    fn learn(&self, failure: Option<&Arc<Failure>>) {
        let mut shut = self.shut();
        *shut = match failure {
            Some(failure) if matches!(**failure, Failure::Connect(_)) => {
                let failure = Arc::clone(failure);
                Some(Pause::after(failure, shut.as_ref(), Instant::now()))
            }
            Some(_) | None => None,
        };
    }

    fn shut(&self) -> MutexGuard<'_, Option<Pause>> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
