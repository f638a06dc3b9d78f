//! Pods: they come and go, and ask for their keys.

use std::time::Duration;

use bpf2iam::{
    creds::{
        pace::Moment,
        schedule::{Beginning, First},
    },
    imds::service::PATIENCE,
};

use crate::keeper::{Doing, Keeper};

use super::{Cluster, Event, index};

/// So long after it was bound to its node, a new pod's first container asks.
const STARTS: Duration = Duration::from_secs(1);
/// A client that was told to come again comes after this, by itself or since its container was started again.
const AGAIN: Duration = Duration::from_secs(2);
/// What keys had left when a pod got them, from an agent that renews them before half of their life.
const GIVEN: (Duration, Duration) = (Duration::from_mins(31), Duration::from_hours(1));
/// botocore asks again when its keys have this left. No other SDK asks earlier.
const ASKS_AGAIN: Duration = Duration::from_mins(15);

/// How many new pods come to the whole cluster in a second. Each takes the place of one that goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// At first, ...
    pub(crate) at_first: f64,
    /// ... until this moment, ...
    pub(crate) until: Moment,
    /// ... and from then on.
    pub(crate) then: f64,
}

impl Cluster {
    /// A pod that ran before its agent has keys already; it asks for the next.
    pub(super) fn will_ask_again(&mut self, place: u32) {
        let given = self.chance.between(GIVEN.0, GIVEN.1);
        let asks_in = self
            .chance
            .between(Duration::ZERO, given.saturating_sub(ASKS_AGAIN));
        self.will_ask(place, asks_in);
    }

    fn will_ask(&mut self, place: u32, after: Duration) {
        let pod = self.keeper(place).pod;
        let asks = Event::Asks { place, pod };
        self.agenda.enter(self.now + after, asks);
    }

    /// A pod asks, or has gone meanwhile.
    pub(super) fn asks(&mut self, place: u32, pod: u32) {
        let now = self.now;
        let keeper = self.keeper(place);
        if keeper.pod != pod {
            return;
        }
        if keeper.held.is_some() {
            return self.answers_from_memory(place);
        }
        keeper.asked.get_or_insert(now);
        self.will_ask(place, PATIENCE + AGAIN);
        self.demand(place);
    }

    fn answers_from_memory(&mut self, place: u32) {
        let keeper = self.keeper(place);
        if !std::mem::replace(&mut keeper.answered, true) {
            let beginning = keeper.beginning;
            self.tally.asked_by(beginning).count(Duration::ZERO);
        }
    }

    /// A pod comes to any node.
    pub(super) fn comes(&mut self) {
        let place = self.chance.below(self.size.identities());
        self.goes(place);
        let now = self.now;
        let keeper = self.keeper(place);
        *keeper = keeper.successor(now);
        self.tally.pods += 1;
        self.begin(place);
        self.will_ask(place, STARTS);
        self.next_comes();
    }

    pub(super) fn next_comes(&mut self) {
        let (now, flow) = (self.now, self.flow);
        let mut next = now.max(flow.until);
        if now < flow.until {
            next = now.saturating_add(self.chance.pause(flow.at_first));
        }
        if next >= flow.until {
            let from = now.max(flow.until);
            next = from.saturating_add(self.chance.pause(flow.then));
        }
        self.agenda.enter(next, Event::Comes);
    }

    /// The pod in `place` goes, whatever its keeper does.
    fn goes(&mut self, place: u32) {
        let (now, node) = (self.now, self.node_of(place));
        let keeper = self.keepers[index(place)];
        match keeper.doing {
            Doing::Queueing { ticket, .. } => self.nodes[index(node)].leave(ticket),
            Doing::Calling { began, .. } => {
                let jitter = self.chance.jitter();
                self.nodes[index(node)].pace.end(began, None, now, jitter);
                self.pump(node);
            }
            Doing::Quiet { .. } | Doing::Resting => {}
        }
        if keeper.held.is_none() {
            self.learn(&keeper);
        }
    }

    /// What `keeper` has shown that has just got keys, or goes without.
    pub(super) fn learn(&mut self, keeper: &Keeper) {
        let (now, wall) = (self.now, self.wall());
        let tally = &mut self.tally;
        if let Some(since) = keeper.asked.filter(|_| !keeper.answered) {
            let wait = now.saturating_sub(since);
            tally.asked_by(keeper.beginning).count(wait);
        }
        match (keeper.held, keeper.beginning) {
            (Some(life), _) => {
                let left = Duration::try_from(life.expires.duration_since(wall));
                tally.least_left = tally.least_left.min(left.unwrap_or_default());
            }
            (None, _) if keeper.first == First::No => tally.least_left = Duration::ZERO,
            (None, Beginning::New) => tally.bound.count(now.saturating_sub(keeper.bound)),
            (None, Beginning::Running) => tally.warmed(now),
        }
    }

    /// Counts those who still wait as if their waiting ended now.
    pub(crate) fn close(&mut self) {
        for place in 0..self.size.identities() {
            let keeper = self.keepers[index(place)];
            if keeper.held.is_none() && keeper.beginning == Beginning::New {
                self.learn(&keeper);
            }
        }
    }
}
