//! A Kubernetes node on one machine, for tests, the demo and the benchmark.
//!
//! A [`Node`] is network namespaces without any uplink and cgroups named as the kubelet names them. A
//! [`Pod`] in it is a place where processes run. Nothing that a test starts outlives it, and no packet
//! for a metadata address can leave the machine: there is no device that would carry it.

#![deny(unsafe_code)]

pub mod addresses;
mod ip;
mod isolation;
pub mod netns;
mod wiring;

pub mod cgroup;
pub mod run;
pub mod sweep;

mod node;
mod place;
pub mod pod;

pub mod client;
pub mod manifest;
pub mod memory;
pub mod moment;
pub mod privilege;
pub mod process;
pub mod siege;
pub mod stage;
pub mod steps;
pub mod told_time;

pub use node::{Node, Options};
pub use place::Place;
pub use pod::Pod;
