//! What the agent says of itself: what is attached, each pod with its role, what was counted.
//!
//! The model is filled by the agent, crosses the control socket as JSON, and is printed for people or
//! for programs by the command. It says which role a pod has, and never contains keys. Programs read
//! it: fields are added, not renamed.

mod kernel;
mod keys;
mod pod;
mod text;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use kernel::{Exempt, Kernel, Lease, Pins, Serving};
pub use keys::Keys;
pub use pod::{Pod, Role, Whose};

use crate::terminal::Colour;

/// An agent at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// The node's name in Kubernetes.
    pub node: String,
    /// Its process, as it knows it itself: a container may have numbers of its own.
    pub pid: u32,
    /// When it began.
    pub since: Timestamp,
    /// What it still waits for; empty when it is ready.
    pub pending: Vec<String>,
    /// Where redirected connections arrive.
    pub listeners: Vec<SocketAddr>,
    /// The cgroup of all pods, once it is there.
    pub kubepods: Option<PathBuf>,
    /// What outlives the agent; none where there are no programs, or where they cannot be looked at.
    pub kernel: Option<Kernel>,
    /// What is attached there.
    pub programs: Vec<Program>,
    /// The pods of this node.
    pub pods: Vec<Pod>,
    /// What was counted since the agent began.
    pub counters: Counters,
}

/// A program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// As `bpftool` shows it.
    pub name: String,
    /// What it is called for.
    #[serde(rename = "type")]
    pub kind: String,
    /// The cgroup that it is attached to.
    pub attach_point: PathBuf,
    /// For `bpftool prog show id`.
    pub program_id: u32,
    /// For `bpftool link show id`.
    pub link_id: u32,
}

/// What was counted, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By the programs.
    pub kernel: BTreeMap<String, u64>,
    /// By the agent.
    pub agent: BTreeMap<String, u64>,
}

impl Status {
    /// For programs.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// For people who look at it at the time `now`.
    pub fn to_text(&self, now: Timestamp, colour: Colour) -> String {
        text::page(self, now, colour)
    }
}

#[cfg(test)]
pub(crate) mod tests;
