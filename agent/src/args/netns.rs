//! The flag about where the pods' network namespaces are.

use std::path::PathBuf;

/// Where the pods' network namespaces have their files.
#[derive(Debug, clap::Args)]
pub struct NetnsDir {
    /// Where the pods' network namespaces have their files; need not be there
    #[arg(
        id = "netns-dir",
        long = "netns-dir",
        env = "BPF2IAM_NETNS_DIR",
        value_name = "DIR",
        default_value = "/run/netns"
    )]
    pub path: PathBuf,
}
