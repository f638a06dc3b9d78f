//! Where things are on this node, as the agent has it.

use std::path::PathBuf;

use crate::{
    args,
    config::{self, Machine, MetadataAddr},
};

/// Where things are on this node.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What Kubernetes calls this node, as far as can be told.
    pub(super) node: Option<String>,
    pub(super) cgroup_root: PathBuf,
    pub(super) kubepods: Option<PathBuf>,
    pub(super) pin_dir: PathBuf,
    pub(super) runtime_dir: PathBuf,
    /// Where the metadata service is, or why there is none.
    pub(super) metadata: Result<MetadataAddr, &'static str>,
    pub(super) netns_dir: PathBuf,
}

impl Settings {
    /// Checks what was typed. What is not there on the node is found later, and told.
    pub fn new(args: args::Doctor, machine: &Machine) -> Result<Self, config::Error> {
        let host = machine.host_name.as_ref().ok();
        let node = machine.node_name.as_ref().or(host);
        Ok(Self {
            node: node.map(|name| name.trim().to_owned()),
            kubepods: config::kubepods(&args.cgroups)?,
            cgroup_root: args.cgroups.root,
            pin_dir: config::pin_dir(&args.pin_dir.path)?,
            runtime_dir: config::absolute(args.runtime.dir)?,
            metadata: MetadataAddr::choose(args.metadata_addr, machine)?,
            netns_dir: args.netns_dir.path,
        })
    }
}
