//! `bpf2iam trial`: for the agent itself.

use std::{net::SocketAddr, path::PathBuf};

/// From where, and to where.
#[derive(Debug, clap::Args)]
pub struct Trial {
    /// The cgroup to connect from
    pub cgroup: PathBuf,
    /// The address to connect to
    pub address: SocketAddr,
}
