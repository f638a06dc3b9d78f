//! `bpf2iam ready`.

use super::Runtime;

/// Which agent to ask.
#[derive(Debug, clap::Args)]
pub struct Ready {
    /// Where its control socket is.
    #[command(flatten)]
    pub runtime: Runtime,
}
