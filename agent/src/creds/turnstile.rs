//! Where tasks wait for their turn at STS: [`Pace`] with a clock, and with somebody to wake.
//!
//! Whoever gives up waiting leaves the queue, and a call that is dropped makes room for the next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    pace::{Moment, Next, Pace, Ticket, Verdict},
    schedule::{Jitter, Urgency},
};

/// Longer than anybody waits without something happening.
const FAR: Duration = Duration::from_hours(1);

/// The way to STS. A clone is the same one.
#[derive(Clone, Debug)]
pub(super) struct Turnstile(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    start: Instant,
    state: Mutex<State>,
    /// Something happened: whoever sleeps until a moment should look whether it is still the right one.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    waiting: HashMap<Ticket, oneshot::Sender<Turn>>,
}

impl Turnstile {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            state: Mutex::new(State {
                pace: Pace::new(Jitter::random()),
                waiting: HashMap::new(),
            }),
            changed: Notify::new(),
        }))
    }

    /// Takes a place in the queue.
    pub(super) fn join(&self, urgency: Urgency) -> Place {
        let (sender, turn) = oneshot::channel();
        let ticket = {
            let mut state = self.0.state();
            let ticket = state.pace.join(urgency);
            state.waiting.insert(ticket, sender);
            ticket
        };
        Place {
            ticket,
            turn,
            turnstile: self.clone(),
        }
    }

    /// How many wait, and how many calls are under way.
    pub(super) fn load(&self) -> (usize, u32) {
        self.0.state().pace.load()
    }

    /// STS throttled a call that began so long ago, and did not come by here.
    pub(super) fn strike(&self, ago: Duration) {
        let now = self.0.now();
        let began = now.saturating_sub(ago);
        self.0.state().pace.strike(began, now, Jitter::random());
    }

    /// Lets through whoever may pass; says when the next may, if nothing happens before.
    fn pump(&self) -> Option<Instant> {
        let mut state = self.0.state();
        loop {
            let now = self.0.now();
            let ticket = match state.pace.next(now) {
                Next::Call(ticket) => ticket,
                Next::At(moment) => return Some(self.0.start + moment),
                Next::Nobody => return None,
            };
            let turn = Turn {
                began: now,
                verdict: None,
                turnstile: Some(self.clone()),
            };
            let unheard = match state.waiting.remove(&ticket) {
                Some(waiting) => waiting.send(turn),
                None => Err(turn),
            };
            if let Err(mut turn) = unheard {
                // It is gone. We hold the lock, which its drop would want.
                turn.turnstile = None;
                state.pace.end(now, None, now, Jitter::random());
            }
        }
    }
}

impl Inner {
    fn now(&self) -> Moment {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, and every change leaves a whole queue.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue. Dropped, it is left.
#[derive(Debug)]
pub(super) struct Place {
    ticket: Ticket,
    turn: oneshot::Receiver<Turn>,
    turnstile: Turnstile,
}

impl Place {
    /// It has become more urgent.
    pub(super) fn hurry(&self, urgency: Urgency) {
        self.turnstile.0.state().pace.hurry(self.ticket, urgency);
    }

    /// Waits for the turn. Nothing is lost when this is dropped and called again.
    pub(super) async fn turn(&mut self) -> Turn {
        loop {
            let changed = self.turnstile.0.changed.notified();
            let next = self.turnstile.pump();
            let next = next.unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                biased;
                turn = &mut self.turn => return turn.expect("the sender waits as long as its place is there"),
                () = changed => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.turnstile.0.state();
        state.pace.leave(self.ticket);
        state.waiting.remove(&self.ticket);
    }
}

/// Somebody's turn. Its end is that of the call.
#[derive(Debug)]
pub(super) struct Turn {
    began: Moment,
    verdict: Option<Verdict>,
    turnstile: Option<Turnstile>,
}

impl Turn {
    /// The call is over. Without a verdict it says nothing about STS.
    pub(super) fn end(mut self, verdict: Option<Verdict>) {
        self.verdict = verdict;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turnstile) = self.turnstile.take() else {
            return;
        };
        let now = turnstile.0.now();
        let mut state = turnstile.0.state();
        let jitter = Jitter::random();
        state.pace.end(self.began, self.verdict, now, jitter);
        drop(state);
        if turnstile.pump().is_some() {
            turnstile.0.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
