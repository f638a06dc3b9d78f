//! One node: the queue of its agent, and who stands in it.

use bpf2iam::creds::{
    pace::{Moment, Next, Pace, Ticket},
    schedule::Jitter,
};

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) pace: Pace,
    waiting: Vec<(Ticket, u32)>,
    /// When it is looked at again.
    wakes: Option<Moment>,
}

/// What the queue allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// The keeper in this place calls.
    Call(u32),
    /// Nobody now. Look again at this moment.
    Look(Moment),
    /// Nobody until something happens.
    Nobody,
}

impl Node {
    /// Nobody stands in it.
    pub(crate) fn new(jitter: Jitter) -> Self {
        Self {
            pace: Pace::new(jitter),
            waiting: Vec::new(),
            wakes: None,
        }
    }

    /// The keeper in `place` has this ticket.
    pub(crate) fn note(&mut self, ticket: Ticket, place: u32) {
        self.waiting.push((ticket, place));
    }

    /// It waits no longer.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.pace.leave(ticket);
        self.forget(ticket);
    }

    /// The next who may pass.
    pub(crate) fn next(&mut self, now: Moment) -> Allowed {
        match self.pace.next(now) {
            Next::Call(ticket) => match self.forget(ticket) {
                Some(place) => Allowed::Call(place),
                None => Allowed::Nobody,
            },
            Next::At(moment) if self.wakes.is_none_or(|wakes| moment < wakes) => {
                self.wakes = Some(moment);
                Allowed::Look(moment)
            }
            Next::At(_) | Next::Nobody => Allowed::Nobody,
        }
    }

    /// The moment has come to look again. Whether it was the one that counted.
    pub(crate) fn woken(&mut self, now: Moment) -> bool {
        let counted = self.wakes == Some(now);
        if counted {
            self.wakes = None;
        }
        counted
    }

    fn forget(&mut self, ticket: Ticket) -> Option<u32> {
        let at = self.waiting.iter().position(|(one, _)| *one == ticket)?;
        Some(self.waiting.swap_remove(at).1)
    }
}
