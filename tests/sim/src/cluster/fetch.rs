//! The work of one keeper: rest, queue up, call, look at what came, rest.

use bpf2iam::creds::{
    Lasting,
    pace::{Moment, Verdict},
    schedule::{self, Demand, First, Life, Need, Outcome, Plan, Urgency},
};
use jiff::Timestamp;

use crate::{
    keeper::{Doing, Woken},
    node::Allowed,
    sts::Reply,
};

use super::{Cluster, Event, SESSION, START, index};

impl Cluster {
    /// The task of the keeper in `place` begins.
    pub(super) fn begin(&mut self, place: u32) {
        self.rest(place, schedule::first());
    }

    /// Rests as `plan` says.
    pub(super) fn rest(&mut self, place: u32, plan: Plan) {
        let now = self.now;
        let attempt = Some(now + plan.attempt);
        if attempt == Some(now) {
            self.queue_up(place, Woken::ByTime);
        } else if plan.quiet.is_zero() {
            self.listen(place, attempt);
        } else {
            self.keeper(place).turn_to(Doing::Quiet { attempt });
            let quiet = now.saturating_add(plan.quiet);
            let end = attempt.map_or(quiet, |attempt| attempt.min(quiet));
            self.agenda.enter(end, Event::Rested(self.step(place)));
        }
    }

    /// From now on whoever waits ends the rest.
    fn listen(&mut self, place: u32, attempt: Option<Moment>) {
        let keeper = self.keeper(place);
        if std::mem::take(&mut keeper.demand) {
            return self.queue_up(place, Woken::ByDemand);
        }
        keeper.turn_to(Doing::Resting);
        if let Some(attempt) = attempt {
            self.agenda.enter(attempt, Event::Rested(self.step(place)));
        }
    }

    pub(super) fn rested(&mut self, place: u32) {
        let now = self.now;
        match self.keeper(place).doing {
            Doing::Quiet { attempt } if attempt.is_none_or(|attempt| now < attempt) => {
                self.listen(place, attempt);
            }
            Doing::Quiet { .. }
            | Doing::Resting
            | Doing::Queueing { .. }
            | Doing::Calling { .. } => self.queue_up(place, Woken::ByTime),
        }
    }

    /// Somebody waits.
    pub(super) fn demand(&mut self, place: u32) {
        let keeper = self.keeper(place);
        match &mut keeper.doing {
            Doing::Resting => self.queue_up(place, Woken::ByDemand),
            Doing::Queueing { woken, .. } if *woken == Woken::ByTime => {
                *woken = Woken::ByDemand;
                self.queue_on(place);
            }
            Doing::Quiet { .. } | Doing::Queueing { .. } | Doing::Calling { .. } => {
                keeper.demand = true;
            }
        }
    }

    fn queue_up(&mut self, place: u32, woken: Woken) {
        let node = index(self.node_of(place));
        let ticket = self.nodes[node].pace.join(Urgency::LEAST);
        self.nodes[node].note(ticket, place);
        let keeper = self.keeper(place);
        let heard = woken == Woken::ByTime && std::mem::take(&mut keeper.demand);
        let woken = if heard { Woken::ByDemand } else { woken };
        keeper.turn_to(Doing::Queueing { ticket, woken });
        self.queue_on(place);
    }

    /// Moves ahead if it has become more urgent.
    pub(super) fn queue_on(&mut self, place: u32) {
        let (now, node) = (self.wall(), self.node_of(place));
        let keeper = self.keeper(place);
        let Doing::Queueing { ticket, woken } = keeper.doing else {
            return;
        };
        let need = Need {
            beginning: keeper.beginning,
            held: keeper.held,
            failed: (keeper.failures > 0).then_some(Lasting::AMoment),
            demand: match woken {
                Woken::ByDemand => Demand::Waits,
                Woken::ByTime => Demand::None,
            },
        };
        let (urgency, changes) = schedule::urgency(&need, now);
        let step = self.step(place);
        self.nodes[index(node)].pace.hurry(ticket, urgency);
        self.pump(node);
        if self.is_at(step) {
            if let Some(changes) = changes {
                self.agenda.enter(self.now + changes, Event::Older(step));
            }
            self.watch_end(place);
        }
    }

    /// Lets through whoever may pass.
    pub(super) fn pump(&mut self, node: u32) {
        loop {
            match self.nodes[index(node)].next(self.now) {
                Allowed::Call(place) => self.call(place),
                Allowed::Look(moment) => {
                    return self.agenda.enter(moment, Event::Look(node));
                }
                Allowed::Nobody => return,
            }
        }
    }

    fn call(&mut self, place: u32) {
        let (began, jitter) = (self.now, self.chance.jitter());
        let (reply, after) = self.sts.call(began, jitter);
        let keeper = self.keeper(place);
        let waits = matches!(
            keeper.doing,
            Doing::Queueing {
                woken: Woken::ByDemand,
                ..
            }
        );
        // Whoever waited for what STS throttled still does.
        keeper.demand |= waits && reply == Reply::Throttled;
        keeper.turn_to(Doing::Calling { began, reply });
        let replied = Event::Replied(self.step(place));
        self.agenda.enter(began + after, replied);
    }

    /// A call has ended.
    pub(super) fn replied(&mut self, place: u32) {
        let Doing::Calling { began, reply } = self.keeper(place).doing else {
            return;
        };
        self.turn_ends(place, began, reply);
        let plan = match reply {
            Reply::Keys => self.keys(place, began),
            Reply::Throttled | Reply::Nothing => self.failure(place, reply),
        };
        self.rest(place, plan);
    }

    fn turn_ends(&mut self, place: u32, began: Moment, reply: Reply) {
        let verdict = match reply {
            Reply::Keys => Verdict::Answered,
            Reply::Throttled => Verdict::Throttled,
            Reply::Nothing => Verdict::Silent,
        };
        let (node, jitter) = (self.node_of(place), self.chance.jitter());
        let pace = &mut self.nodes[index(node)].pace;
        pace.end(began, Some(verdict), self.now, jitter);
        self.keeper(place).turn_to(Doing::Quiet { attempt: None });
        self.pump(node);
    }

    /// There are keys, which were asked for then.
    fn keys(&mut self, place: u32, asked: Moment) -> Plan {
        let life = Life {
            issued: self.wall(),
            expires: whole_seconds(START + asked + SESSION),
        };
        let before = self.keepers[index(place)];
        let keeper = self.keeper(place);
        keeper.held = Some(life);
        keeper.demand = false;
        keeper.failures = 0;
        keeper.watched = false;
        keeper.answered |= keeper.asked.take().is_some();
        let first = std::mem::replace(&mut keeper.first, First::No);
        self.learn(&before);
        let (now, jitter) = (self.wall(), self.chance.jitter());
        schedule::next(Outcome::Keys(life, first), Some(life), now, jitter)
    }

    /// There are none. Those that are out stay.
    fn failure(&mut self, place: u32, reply: Reply) -> Plan {
        let (now, jitter) = (self.wall(), self.chance.jitter());
        let keeper = self.keeper(place);
        keeper.failures += 1;
        let (held, failures) = (keeper.held, keeper.failures);
        self.watch_end(place);
        let error = match reply {
            Reply::Throttled => &self.failures.throttled,
            Reply::Keys | Reply::Nothing => &self.failures.unavailable,
        };
        schedule::next(Outcome::Failure { error, failures }, held, now, jitter)
    }

    /// Looks at the keys when they end: those of a keeper in trouble, which others renew long before.
    fn watch_end(&mut self, place: u32) {
        let now = self.wall();
        let keeper = self.keeper(place);
        if let Some(held) = keeper.held.filter(|_| !keeper.watched) {
            keeper.watched = true;
            let end = self.now + held.left(now);
            self.agenda.enter(end, Event::Ends(place));
        }
    }

    /// Withdraws keys that have ended.
    pub(super) fn ends(&mut self, place: u32) {
        let now = self.wall();
        let held = &mut self.keepers[index(place)].held;
        if held.is_some_and(|life| life.left(now).is_zero()) {
            *held = None;
            self.tally.ended += 1;
        }
    }
}

/// As STS tells the end of a session.
fn whole_seconds(end: Timestamp) -> Timestamp {
    Timestamp::from_second(end.as_second()).unwrap_or(end)
}
