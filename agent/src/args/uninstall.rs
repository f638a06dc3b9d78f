//! `bpf2iam uninstall`.

use super::PinDir;

/// How to take away what an agent has left on this node.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Where it is kept.
    #[command(flatten)]
    pub pin_dir: PinDir,

    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}
