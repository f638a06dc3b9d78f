//! Where things are on this node, as the agent has it.

use std::path::PathBuf;

use crate::{
    args,
    config::{self, Machine, MetadataAddr},
};

/// Where things are on this node.
#[derive(Clone, Debug)]
pub struct Settings {
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
        Ok(Self {
            kubepods: config::kubepods(&args.cgroups)?,
            cgroup_root: args.cgroups.root,
            pin_dir: config::pin_dir(&args.pin_dir.path)?,
            runtime_dir: config::absolute(args.runtime.dir)?,
            metadata: MetadataAddr::choose(args.metadata_addr, machine)?,
            netns_dir: args.netns_dir,
        })
    }
}
