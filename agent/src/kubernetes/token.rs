//! Tokens of ServiceAccounts, made by the API server for one pod and one audience (`TokenRequest`).
//!
//! A token is bound to its pod by name and UID: the server refuses it if another pod has that name by now, and the
//! token ends with the pod. It is made once for all who ask at a time, kept while it is good, replaced at 80 % of the
//! life that the server gave it, and forgotten with its pod. While the server gives no answer, one that has not ended
//! yet is used on. Its text is in no log, and in no error.

mod life;
mod metrics;
mod mint;
mod narrowed;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::Client;
use tokio::time::Instant;

use crate::{
    clock::Clock,
    creds::{
        Secret, WebIdentity,
        schedule::Deadline,
        web_identity::{Minting, TokenError, TokenSource},
    },
};

pub use metrics::Metrics;
pub use narrowed::Narrowed;

use life::Life;
use metrics::Outcome;

/// So many tokens are kept. A token is about 1 KiB, and a kubelet runs 110 pods unless told otherwise; beyond this
/// they are made anew each time.
const MOST: usize = 2048;

/// Makes tokens, and keeps them.
pub struct Tokens {
    client: Client,
    clock: Clock,
    metrics: Metrics,
    slots: Mutex<HashMap<WebIdentity, Arc<Slot>>>,
}

/// The place of one token.
#[derive(Debug, Default)]
struct Slot {
    kept: Mutex<Option<Kept>>,
    /// Held by the one who has it made.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Kept {
    token: Secret,
    renew: Deadline,
    end: Deadline,
}

impl Tokens {
    /// Tokens of the server behind `client`.
    pub fn new(client: Client, clock: Clock, metrics: Metrics) -> Self {
        Self {
            client,
            clock,
            metrics,
            slots: Mutex::default(),
        }
    }

    async fn get(&self, whose: &WebIdentity) -> Result<Secret, TokenError> {
        let slot = self.slot(whose);
        if let Some(token) = self.fresh(&slot) {
            return Ok(token);
        }
        let _flight = slot.flight.lock().await;
        match self.fresh(&slot) {
            Some(token) => Ok(token),
            None => self.renew(&slot, whose).await,
        }
    }

    /// Has a token made; while nobody answers, the old one does as long as it lasts.
    async fn renew(&self, slot: &Slot, whose: &WebIdentity) -> Result<Secret, TokenError> {
        let made = mint::mint(&self.client, whose, self.clock).await;
        self.metrics.asked(Outcome::from(&made), self.clock.now());
        match made {
            Ok((token, life)) => {
                *slot.kept() = Some(self.keep(token.clone(), life));
                Ok(token)
            }
            Err(error) if error.is_final() => {
                *slot.kept() = None;
                Err(error)
            }
            Err(error) => {
                let kept = slot.kept().clone();
                let good = kept.filter(|kept| !self.is_over(kept.end));
                good.map(|kept| kept.token).ok_or(error)
            }
        }
    }

    fn fresh(&self, slot: &Slot) -> Option<Secret> {
        let kept = slot.kept().clone();
        let fresh = kept.filter(|kept| !self.is_over(kept.renew));
        fresh.map(|kept| kept.token)
    }

    fn keep(&self, token: Secret, life: Life) -> Kept {
        let (instant, now) = (Instant::now(), self.clock.now());
        Kept {
            token,
            renew: Deadline::after(life.until_renewal(), instant, now),
            end: Deadline::after(life.until_useless(), instant, now),
        }
    }

    fn is_over(&self, deadline: Deadline) -> bool {
        deadline.left(Instant::now(), self.clock.now()).is_zero()
    }

    /// The place of the token of `whose`; of nobody's, where there are too many.
    fn slot(&self, whose: &WebIdentity) -> Arc<Slot> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get(whose) {
            return Arc::clone(slot);
        }
        let slot = Arc::<Slot>::default();
        if slots.len() < MOST {
            slots.insert(whose.clone(), Arc::clone(&slot));
        }
        slot
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<WebIdentity, Arc<Slot>>> {
        // Nothing panics while it is held, and every change leaves a whole map.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSource for Tokens {
    fn token<'a>(&'a self, whose: &'a WebIdentity) -> Minting<'a> {
        Box::pin(self.get(whose))
    }

    fn refused(&self, whose: &WebIdentity, token: &Secret) {
        let slot = self.slots().get(whose).cloned();
        if let Some(slot) = slot {
            let mut kept = slot.kept();
            if kept.as_ref().is_some_and(|kept| kept.token == *token) {
                *kept = None;
            }
        }
    }

    fn retain(&self, wanted: &HashSet<&WebIdentity>) {
        self.slots().retain(|whose, _| wanted.contains(whose));
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
