//! The flags about where the pods' cgroups are.

use std::path::PathBuf;

/// Where the pods' cgroups are.
#[derive(Debug, clap::Args)]
pub struct Cgroups {
    /// The host's cgroup v2 mount
    #[arg(
        long = "cgroup-root",
        env = "BPF2IAM_CGROUP_ROOT",
        value_name = "DIR",
        default_value = "/sys/fs/cgroup"
    )]
    pub root: PathBuf,

    /// The cgroup of all pods below --cgroup-root [default: found]
    #[arg(long, env = "BPF2IAM_KUBEPODS", value_name = "PATH")]
    pub kubepods: Option<String>,
}
