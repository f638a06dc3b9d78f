//! What the tier `api` needs besides a stage: the control plane that `cargo xtask api` has brought up, and ways to it.
//!
//! No kubelet runs. Nodes and pods are objects that a test writes, and they stay as it has written them.

#![forbid(unsafe_code)]

pub mod account;
mod cluster;
pub mod deploy;
pub mod helm;
pub mod kubectl;
pub mod line;
pub mod object;
pub mod token;

pub use cluster::Cluster;
