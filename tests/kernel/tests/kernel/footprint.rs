//! What an agent has on the node, as the kernel tells it: programs at the pods' cgroup, and pins.

use std::{fs, path::PathBuf};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::bpftool;
use bpf2iam_support::stage::Stage;

/// How many programs there are, each with a link.
pub(crate) const LINKS: usize = 8;
/// How many maps outlive an agent.
pub(crate) const MAPS: usize = 8;
/// How many pins.
pub(crate) const PINS: usize = LINKS + MAPS;

/// How many programs are attached to the pods' cgroup. Not by their names: where the kernel refuses these, there are none.
pub(crate) fn attached(stage: &Stage) -> usize {
    bpftool::attached(&stage.node().kubepods()).unwrap().len()
}

/// Where agents of this version pin.
pub(crate) fn version(stage: &Stage) -> PathBuf {
    version_of(stage, abi::VERSION)
}

/// Where agents of another version pin.
pub(crate) fn version_of(stage: &Stage, version: u32) -> PathBuf {
    stage.pin_dir().join(version.to_string())
}

/// How many versions have pinned something.
pub(crate) fn versions(stage: &Stage) -> usize {
    fs::read_dir(stage.pin_dir()).unwrap().count()
}
