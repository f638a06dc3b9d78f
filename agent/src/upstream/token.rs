//! The agent's own token: one for all questions, made by the first who needs it, renewed before it ends.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{StatusCode, header::HeaderValue};
use tokio::time::{self, Instant};

use super::{
    ask::{self, TOKEN_PATH, Token},
    door::Door,
    http::{Bounds, Failure, What},
    metrics::Purpose,
    pause::Pause,
};

/// As long as EC2 gives one.
const LIFE: Duration = Duration::from_hours(6);
/// It is renewed so long before its end; a shorter one in the last tenth of its life.
const AHEAD: Duration = Duration::from_mins(10);
/// While that does not succeed, it is tried again after so long.
const RETRY: Duration = Duration::from_secs(30);
/// So long is waited for that. The old one is still good.
const RENEWAL: Duration = Duration::from_millis(200);
/// A service that gives no tokens is asked without; and for a token again after so long.
const WITHOUT: Duration = Duration::from_mins(5);

/// The token, if there is one.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    state: Mutex<State>,
    /// Held by the one who asks for a token.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    pause: Option<Pause>,
    /// How many were held before.
    number: u64,
}

#[derive(Clone, Debug)]
struct Held {
    /// None where the service gives none.
    token: Option<HeaderValue>,
    renew: Instant,
    end: Instant,
}

/// What to show with a question.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// Nothing, where the service gives no tokens.
    pub(super) token: Option<HeaderValue>,
    number: u64,
}

enum Look {
    Good(Proof),
    /// It is good, and somebody should see to the next.
    Due(Proof),
    Failing(Arc<Failure>),
    Needed,
}

impl Tokens {
    /// What to show now.
    pub(super) async fn proof(&self, door: &Door, bounds: Bounds) -> Result<Proof, Arc<Failure>> {
        match self.look() {
            Look::Good(proof) => return Ok(proof),
            Look::Failing(failure) => return Err(failure),
            Look::Due(proof) => return Ok(self.renewed(proof, door, bounds).await),
            Look::Needed => {}
        }
        let flight = time::timeout_at(bounds.end, self.flight.lock()).await;
        let _flight = flight.map_err(|_late| Arc::new(Failure::Busy))?;
        // Somebody else may have asked meanwhile.
        match self.look() {
            Look::Good(proof) | Look::Due(proof) => return Ok(proof),
            Look::Failing(failure) => return Err(failure),
            Look::Needed => {}
        }
        self.ask(door, bounds).await
    }

    /// What to show instead of `refused`, which the service did not take.
    pub(super) async fn instead_of(
        &self,
        refused: &Proof,
        door: &Door,
        bounds: Bounds,
    ) -> Result<Proof, Arc<Failure>> {
        {
            let mut state = self.state();
            if state.number == refused.number {
                state.held = None;
            }
        }
        self.proof(door, bounds).await
    }

    /// The next one after `proof`, if that comes soon; nobody else waits for it.
    async fn renewed(&self, proof: Proof, door: &Door, bounds: Bounds) -> Proof {
        let Ok(_flight) = self.flight.try_lock() else {
            return proof;
        };
        let end = bounds.end.min(Instant::now() + RENEWAL);
        let next = self.ask(door, Bounds { end, ..bounds }).await;
        next.unwrap_or(proof)
    }

    async fn ask(&self, door: &Door, bounds: Bounds) -> Result<Proof, Arc<Failure>> {
        let start = Instant::now();
        let held = fetch(door, bounds, start).await;
        self.state().learn(held, Instant::now())
    }

    fn look(&self) -> Look {
        self.state().look(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch(door: &Door, bounds: Bounds, start: Instant) -> Result<Held, Arc<Failure>> {
    let question = ask::for_a_token(&door.addr, LIFE)?;
    let (what, bounds) = (What::Borrowed(TOKEN_PATH), ask::for_token(bounds));
    let answer = door.send(Purpose::Token, &what, question, bounds).await?;
    if gives_none(answer.status()) {
        return Ok(Held {
            token: None,
            renew: start + WITHOUT,
            end: start + WITHOUT,
        });
    }
    let token = ask::token(&answer, start, LIFE)?;
    Ok(Held::new(&token, start))
}

/// As emulators without `IMDSv2` answer.
fn gives_none(status: StatusCode) -> bool {
    [
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED,
    ]
    .contains(&status)
}

impl Held {
    fn new(token: &Token, start: Instant) -> Self {
        let end = token.end();
        let life = end.saturating_duration_since(start);
        Self {
            token: Some(token.value().clone()),
            renew: end - AHEAD.min(life / 10),
            end,
        }
    }
}

impl State {
    fn look(&self, now: Instant) -> Look {
        if let Some(held) = self.held.as_ref().filter(|held| now < held.end) {
            let proof = self.proof(held);
            return if now < held.renew {
                Look::Good(proof)
            } else {
                Look::Due(proof)
            };
        }
        let failing = self.pause.as_ref().and_then(|pause| pause.answer(now));
        failing.map_or(Look::Needed, Look::Failing)
    }

    fn learn(
        &mut self,
        held: Result<Held, Arc<Failure>>,
        now: Instant,
    ) -> Result<Proof, Arc<Failure>> {
        match held {
            Ok(held) => {
                self.number += 1;
                self.pause = None;
                let proof = self.proof(&held);
                self.held = Some(held);
                Ok(proof)
            }
            Err(failure) => {
                let answer = Arc::clone(&failure);
                self.pause = Some(Pause::after(failure, self.pause.as_ref(), now));
                if let Some(held) = &mut self.held {
                    held.renew = now + RETRY;
                }
                Err(answer)
            }
        }
    }

    fn proof(&self, held: &Held) -> Proof {
        Proof {
            token: held.token.clone(),
            number: self.number,
        }
    }
}
