//! What of the agent is in the kernel, and outlives it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The kernel side at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Whether the programs obey this agent.
    pub serving: Serving,
    /// The layout of the maps: agents with the same one share them.
    pub abi: u32,
    /// Where this layout is pinned.
    pub pin_dir: PathBuf,
    /// What is pinned there.
    pub pins: Pins,
    /// For how long the programs go on by themselves.
    pub lease: Lease,
    /// Who reaches the real metadata service.
    #[serde(default)]
    pub exempt: Exempt,
}

/// The ids of cgroups, in order, whose calls to the metadata address are not redirected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// Of agents.
    pub agents: Vec<u64>,
    /// Of pods that keep the node's own identity (`--node-role-for`).
    pub pods: Vec<u64>,
}

/// Which of a node's agents this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Serving {
    /// The one that the programs obey.
    Yes,
    /// It has not taken over yet.
    Waiting,
    /// Another one has taken over from it.
    Displaced,
}

/// The names of what is pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// Of the links.
    pub links: Vec<String>,
    /// Of the maps.
    pub maps: Vec<String>,
}

/// What an agent renews as long as it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// For how long this agent renews it each time, in milliseconds.
    pub length_ms: u64,
    /// How much of it is left, whoever has renewed it: 0 if it has expired, none if no agent has served yet.
    pub left_ms: Option<u64>,
    /// What becomes of connects once it has expired, as `--when-agent-gone` has it.
    pub when_agent_gone: String,
}
