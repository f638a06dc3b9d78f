//! What a crowd of clients gets, over a long time.

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// The same outcome over and over, to one client, for a short while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// What it was: see [`Spells`].
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// When the first of the connections began.
    pub first: Moment,
    /// When the last of them began.
    pub last: Moment,
    /// When that one ended.
    pub end: Moment,
}

impl Spell {
    /// Whether it was told to ask again.
    pub fn is_busy(&self) -> bool {
        self.outcome.starts_with(Spells::BUSY)
    }
}

/// What `pod-client siege` prints. An outcome is [`OWN`](Self::OWN), [`NODE`](Self::NODE), [`BUSY`](Self::BUSY), the name of an errno, `closed`
/// for a connection that ended without a word, or what came instead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spells {
    /// Those of all clients.
    pub spells: Vec<Spell>,
}

impl Spells {
    /// A pod's own role, or a refusal of the node's keys: what the agent says.
    pub const OWN: &'static str = "own";
    /// The node's role or its keys: what the real service says.
    pub const NODE: &'static str = "node";
    /// What the agent says when an answer takes too long (503), and what an SDK asks again after. With the words of it.
    pub const BUSY: &'static str = "busy";
}
