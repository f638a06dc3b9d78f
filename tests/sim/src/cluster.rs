//! All nodes of a cluster, and what happens to them.
//!
//! When somebody calls, what comes of a call, and who goes first: that the agent's own schedule and pace decide. What is
//! done here in their order is what its tasks do (`creds::keeper`, `creds::board` and `creds::turnstile`), without tasks.

mod fetch;
mod pods;

use std::time::Duration;

use bpf2iam::{
    creds::{
        SourceError,
        pace::Moment,
        schedule::{self, Beginning, First, Life, Outcome},
    },
    id::RoleArn,
};
use jiff::{SignedDuration, Timestamp};

use crate::{agenda::Agenda, chance::Chance, keeper::Keeper, node::Node, sts::Sts, tally::Tally};

pub(crate) use pods::Flow;

/// What the clocks of all nodes say at the beginning.
const START: Timestamp = Timestamp::constant(1_800_000_000, 0);
/// How long a session is.
pub(crate) const SESSION: Duration = Duration::from_hours(1);

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) nodes: u32,
    /// On each of them.
    pub(crate) identities: u32,
}

impl Size {
    /// On all nodes.
    pub(crate) const fn identities(self) -> u32 {
        self.nodes * self.identities
    }
}

/// The cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    size: Size,
    now: Moment,
    nodes: Vec<Node>,
    /// Those of the first node, then those of the second, and so on.
    keepers: Vec<Keeper>,
    agenda: Agenda<Event>,
    flow: Flow,
    chance: Chance,
    failures: Failures,
    pub(crate) sts: Sts,
    pub(crate) tally: Tally,
}

/// What happens to a keeper, by its place, or to a node.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Its rest is over, or the part in which nobody disturbs it.
    Rested(Step),
    /// It has queued for so long that it is more urgent.
    Older(Step),
    /// A call has ended.
    Replied(Step),
    /// Its keys end, if they are still the same.
    Ends(u32),
    /// A pod asks.
    Asks { place: u32, pod: u32 },
    /// The queue may let somebody through.
    Look(u32),
    /// A pod comes.
    Comes,
}

/// Means a keeper as long as it does not turn to something else.
#[derive(Clone, Copy, Debug)]
struct Step {
    place: u32,
    step: u32,
}

/// The agent's errors.
#[derive(Debug)]
struct Failures {
    throttled: SourceError,
    unavailable: SourceError,
}

impl Failures {
    fn new() -> anyhow::Result<Self> {
        let role: RoleArn = "arn:aws:iam::123456789012:role/any".parse()?;
        Ok(Self {
            throttled: SourceError::Throttled {
                message: "Rate exceeded".to_owned(),
            },
            unavailable: SourceError::Unavailable {
                role,
                message: "no answer".to_owned(),
            },
        })
    }
}

impl Cluster {
    /// One whose agents all start within the same second. Every place has a pod that runs.
    pub(crate) fn restarted(size: Size, flow: Flow, sts: Sts, seed: u64) -> anyhow::Result<Self> {
        let mut cluster = Self::new(size, flow, sts, seed, size.identities())?;
        for node in 0..size.nodes {
            let second = Duration::from_secs(1);
            cluster.now = cluster.chance.between(Duration::ZERO, second);
            for place in node * size.identities..(node + 1) * size.identities {
                cluster.begin(place);
                cluster.will_ask_again(place);
            }
        }
        cluster.now = Duration::ZERO;
        Ok(cluster)
    }

    /// One that has been up for long: every keeper has keys of some age, and none of them are due.
    pub(crate) fn settled(size: Size, flow: Flow, sts: Sts, seed: u64) -> anyhow::Result<Self> {
        /// Before any keys are due.
        const OLDEST: Duration = Duration::from_mins(27);
        let mut cluster = Self::new(size, flow, sts, seed, 0)?;
        for place in 0..size.identities() {
            let age = cluster.chance.between(Duration::ZERO, OLDEST);
            let issued = START - SignedDuration::try_from(age)?;
            let life = Life {
                issued,
                expires: issued + SESSION,
            };
            let keeper = &mut cluster.keepers[index(place)];
            (keeper.held, keeper.first) = (Some(life), First::No);
            let (outcome, jitter) = (Outcome::Keys(life, First::No), cluster.chance.jitter());
            let plan = schedule::next(outcome, Some(life), START, jitter);
            cluster.rest(place, plan);
        }
        Ok(cluster)
    }

    fn new(size: Size, flow: Flow, sts: Sts, seed: u64, cold: u32) -> anyhow::Result<Self> {
        let keeper = Keeper::new(Beginning::Running, Duration::ZERO);
        let mut chance = Chance::new(seed);
        let nodes = (0..size.nodes).map(|_| Node::new(chance.jitter()));
        let mut cluster = Self {
            size,
            now: Duration::ZERO,
            nodes: nodes.collect(),
            keepers: vec![keeper; index(size.identities())],
            agenda: Agenda::new(),
            flow,
            chance,
            failures: Failures::new()?,
            sts,
            tally: Tally::new(cold),
        };
        cluster.next_comes();
        Ok(cluster)
    }

    /// Lets time pass.
    pub(crate) fn run_until(&mut self, end: Moment) {
        while let Some((now, event)) = self.agenda.next_before(end) {
            self.now = now;
            self.happens(event);
        }
        self.now = end;
    }

    /// How much time has passed.
    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// How many have no keys, or keys that are due, and have been so for longer than one call takes.
    pub(crate) fn troubled(&self) -> usize {
        /// So long after its beginning, a pod is not new any more.
        const NEW: Duration = Duration::from_secs(5);
        let now = self.wall();
        let due = |life: Life| life.left(now) < schedule::ENOUGH;
        let troubled = self.keepers.iter().filter(|keeper| {
            keeper.held.is_none_or(due) && self.now.saturating_sub(keeper.bound) > NEW
        });
        troubled.count()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Rested(step) if self.is_at(step) => self.rested(step.place),
            Event::Older(step) if self.is_at(step) => self.queue_on(step.place),
            Event::Replied(step) if self.is_at(step) => self.replied(step.place),
            Event::Rested(_) | Event::Older(_) | Event::Replied(_) => {}
            Event::Ends(place) => self.ends(place),
            Event::Asks { place, pod } => self.asks(place, pod),
            Event::Look(node) => {
                if self.nodes[index(node)].woken(self.now) {
                    self.pump(node);
                }
            }
            Event::Comes => self.comes(),
        }
    }

    fn is_at(&self, step: Step) -> bool {
        self.keepers[index(step.place)].step == step.step
    }

    /// The keeper in `place`, for as long as it does what it does now.
    fn step(&self, place: u32) -> Step {
        let step = self.keepers[index(place)].step;
        Step { place, step }
    }

    fn keeper(&mut self, place: u32) -> &mut Keeper {
        &mut self.keepers[index(place)]
    }

    const fn node_of(&self, place: u32) -> u32 {
        place / self.size.identities
    }

    /// What the clocks of all nodes say.
    fn wall(&self) -> Timestamp {
        START + self.now
    }
}

/// A place in a list.
fn index(place: u32) -> usize {
    usize::try_from(place).expect("nobody has so little memory any more")
}

#[cfg(test)]
mod tests;
