//! `bpf2iam uninstall`.

use super::{Cgroups, PinDir, Runtime};

/// How to take away what an agent has left on this node.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Where it is kept.
    #[command(flatten)]
    pub pin_dir: PinDir,

    /// Where the pods' cgroups are.
    #[command(flatten)]
    pub cgroups: Cgroups,

    /// Where the control socket may be left.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}
