//! Clients that connect as fast as they can while the agent is replaced, killed or removed: what they get meanwhile.
//!
//! Each story says what happened when; whoever tells it judges.

mod agent;
mod story;

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

use crate::{
    Pod,
    client::{Spell, Spells, reported},
    moment::Moment,
    process::Process,
    stage::Stage,
};

pub use agent::Running;
pub use story::{Killed, Removed, kill, remove, upgrade};

/// So many clients.
pub const CLIENTS: u32 = 8;
/// The role that the real service has keys for.
const NODE_ROLE: &str = "node-role";
/// How long the clients may take to begin, and to report.
const PATIENCE: Duration = Duration::from_mins(2);

/// The clients, at work. On drop they are ended.
#[derive(Debug)]
pub struct Siege(Process);

impl Siege {
    /// Lets the clients begin in `pod`, whose role has its name.
    pub fn begin(stage: &Stage, pod: &Pod) -> Result<Self> {
        let (role, clients) = (&pod.spec().name, CLIENTS.to_string());
        let args = [
            "siege",
            "--threads",
            &clients,
            "--expect",
            role,
            "--other",
            NODE_ROLE,
        ];
        let clients = stage.client().start(&pod.place(), &args)?;
        clients.wait_for_line(|line| line == "besieging", PATIENCE)?;
        Ok(Self(clients))
    }

    /// Lets them end, and says what they got.
    pub fn end(mut self) -> Result<Seen> {
        self.0.close_input();
        Ok(reported::<Spells>(&self.0, PATIENCE)?.into())
    }
}

/// What the clients got.
#[derive(Clone, Debug)]
pub struct Seen {
    spells: Vec<Spell>,
}

/// What may become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The agent answered as it should.
    Own,
    /// The real service answered: with the node's role or its keys.
    Node,
    /// There was no connection: nobody listened, or the kernel refused it.
    Refused,
    /// There was one, and it ended without a word.
    Cut,
    /// Nothing came for as long as a client waits.
    Silence,
    /// Anything else. Whoever lets a [busy](Spell::is_busy) agent pass says so.
    Wrong,
}

impl Outcome {
    fn of(text: &str) -> Self {
        match text {
            Spells::OWN => Self::Own,
            Spells::NODE => Self::Node,
            "ECONNREFUSED" | "EPERM" => Self::Refused,
            "ECONNABORTED" | "ECONNRESET" | "EPIPE" | "closed" => Self::Cut,
            "ETIMEDOUT" | "EAGAIN" => Self::Silence,
            _ => Self::Wrong,
        }
    }
}

impl From<Spells> for Seen {
    fn from(Spells { spells }: Spells) -> Self {
        Self { spells }
    }
}

impl Seen {
    /// What they got, each client for itself.
    pub fn spells(&self) -> impl Iterator<Item = &Spell> {
        self.spells.iter()
    }

    /// All connections.
    pub fn total(&self) -> u64 {
        self.spells.iter().map(|spell| spell.count).sum()
    }

    /// Those that came to this.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.among(outcome, |_any| true)
    }

    /// Those of which a spell is `wanted`.
    pub fn among(&self, outcome: Outcome, wanted: impl Fn(&Spell) -> bool) -> u64 {
        let found = self.of(outcome).filter(|spell| wanted(spell));
        found.map(|spell| spell.count).sum()
    }

    /// When the last connection between two moments began that came to this.
    pub fn last(&self, outcome: Outcome, (from, to): (Moment, Moment)) -> Option<Moment> {
        let within = self
            .of(outcome)
            .filter(|spell| spell.last >= from && spell.first <= to);
        within.map(|spell| spell.last).max()
    }

    /// How often there was what, for people.
    pub fn summary(&self) -> String {
        let mut outcomes = BTreeMap::<&str, u64>::new();
        for spell in &self.spells {
            *outcomes.entry(&spell.outcome).or_default() += spell.count;
        }
        let each = outcomes
            .iter()
            .map(|(outcome, count)| format!("{count} {outcome}"));
        each.collect::<Vec<_>>().join(", ")
    }

    fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Spell> {
        let same = move |spell: &&Spell| Outcome::of(&spell.outcome) == outcome;
        self.spells.iter().filter(same)
    }
}
