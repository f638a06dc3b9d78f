//! The flags of `doctor`.

use super::{Cgroups, NetnsDir, Output, PinDir, Runtime};

/// What to look at: as the agent has it. In the agent's container its variables say it.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// Text for people, or JSON for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,

    /// Where the pods' cgroups are.
    #[command(flatten)]
    pub cgroups: Cgroups,

    /// The metadata service of this node: a URL, or a host and perhaps a port; `off` where there is none
    /// [default: `$AWS_EC2_METADATA_SERVICE_ENDPOINT`, else `http://169.254.169.254`]
    #[arg(long, env = "BPF2IAM_METADATA_ADDR", value_name = "ADDRESS|off")]
    pub metadata_addr: Option<String>,

    /// Where the pods' network namespaces are: from inside them it is tried whether the agent can be reached.
    #[command(flatten)]
    pub netns_dir: NetnsDir,

    /// Where the control socket is.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Where programs and maps are pinned.
    #[command(flatten)]
    pub pin_dir: PinDir,
}
