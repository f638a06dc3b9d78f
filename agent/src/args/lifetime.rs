//! The flags about what outlives the agent.

use std::path::PathBuf;

use crate::redirect::{LeaseLength, WhenGone};

use super::Switch;

/// Where the kernel side is kept when the agent ends.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Lifetime")]
pub struct PinDir {
    /// Where programs and maps are pinned, on a bpf file system of the node
    #[arg(
        long = "pin-dir",
        env = "BPF2IAM_PIN_DIR",
        value_name = "DIR",
        default_value = "/sys/fs/bpf/bpf2iam"
    )]
    pub path: PathBuf,
}

/// What outlives the agent, and for how long it does what.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Lifetime")]
pub struct Lifetime {
    /// Where it is kept.
    #[command(flatten)]
    pub pin_dir: PinDir,

    /// For how long the kernel trusts an agent that is silent; then connects to the metadata address no longer go to
    /// its port
    #[arg(
        long,
        env = "BPF2IAM_LEASE",
        value_name = "DURATION",
        default_value = "10s"
    )]
    pub lease: LeaseLength,

    /// What such connects do after that: fail, or reach the real service, with the node's role
    #[arg(
        long,
        env = "BPF2IAM_WHEN_AGENT_GONE",
        value_name = "WHAT",
        default_value = "deny",
        ignore_case = true
    )]
    pub when_agent_gone: WhenGone,

    /// The DaemonSet that this agent belongs to: once that is deleted or has no place for it on this node, the agent takes
    /// everything of it away when it ends
    #[arg(long, env = "BPF2IAM_DAEMON_SET", value_name = "NAMESPACE/NAME")]
    pub daemon_set: Option<String>,

    /// Take the taint bpf2iam.io/agent-not-ready from this node once the agent is ready
    #[arg(
        long,
        env = "BPF2IAM_STARTUP_TAINT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub startup_taint: Option<Switch>,
}
