//! What the agent's task of one identity remembers. What it does is in `cluster`.

use bpf2iam::creds::{
    pace::{Moment, Ticket},
    schedule::{Beginning, First, Life},
};

use crate::sts::Reply;

/// The task of one identity, and the pod that it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeper {
    pub(crate) beginning: Beginning,
    pub(crate) held: Option<Life>,
    pub(crate) first: First,
    /// In a row.
    pub(crate) failures: u32,
    /// Somebody waits, and the task has not heard of it yet.
    pub(crate) demand: bool,
    pub(crate) doing: Doing,
    /// How often it has begun to do something else: an event of an earlier step means nothing any more.
    pub(crate) step: u32,
    /// Which pod in this place it is.
    pub(crate) pod: u32,
    /// Since when the agent knows the pod.
    pub(crate) bound: Moment,
    /// When the pod asked, if it has no answer yet.
    pub(crate) asked: Option<Moment>,
    /// Whether the pod had its first answer.
    pub(crate) answered: bool,
    /// Whether there is an event at the end of the keys.
    pub(crate) watched: bool,
}

/// What it does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    /// It rests, and whoever waits does not end that.
    Quiet {
        /// When it goes on by itself.
        attempt: Option<Moment>,
    },
    /// It rests.
    Resting,
    /// It has a place in the queue of its node.
    Queueing { ticket: Ticket, woken: Woken },
    /// It has its turn.
    Calling {
        /// Since when.
        began: Moment,
        /// How it will end.
        reply: Reply,
    },
}

/// Why a rest is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    ByTime,
    ByDemand,
}

impl Keeper {
    /// The task of the first pod in a place.
    pub(crate) const fn new(beginning: Beginning, bound: Moment) -> Self {
        Self {
            beginning,
            held: None,
            first: First::Yes,
            failures: 0,
            demand: false,
            doing: Doing::Quiet { attempt: None },
            step: 0,
            pod: 0,
            bound,
            asked: None,
            answered: false,
            watched: false,
        }
    }

    /// That of the next one.
    pub(crate) const fn successor(&self, bound: Moment) -> Self {
        Self {
            step: self.step + 1,
            pod: self.pod + 1,
            ..Self::new(Beginning::New, bound)
        }
    }

    /// It does something else now.
    pub(crate) const fn turn_to(&mut self, doing: Doing) {
        self.doing = doing;
        self.step += 1;
    }
}
