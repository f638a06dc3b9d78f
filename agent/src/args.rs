//! The command line, as it is typed. What it means is decided in [`config`](crate::config).
//!
//! Every flag has an environment variable `BPF2IAM_<FLAG>`; the names that kube2iam's users know are
//! aliases. All of them are a contract with scripts and charts.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::telemetry;

/// Gives each Kubernetes pod its own AWS credentials through the instance metadata address.
#[derive(Debug, Parser)]
#[command(name = "bpf2iam", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent of this node
    Run(Box<Run>),
    /// Show what is attached, each pod with its role, and counters
    Status(Status),
}

/// How to run the agent.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Name of this node in Kubernetes [default: `$NODE_NAME`, else the host name]
    #[arg(
        long,
        visible_alias = "node",
        env = "BPF2IAM_NODE_NAME",
        value_name = "NAME"
    )]
    pub node_name: Option<String>,

    /// Where pods reach this node: an IPv4 address, an IPv6 address, or both (repeated, or with commas)
    /// [default: `$HOST_IP`, else the source addresses of the default routes]
    #[arg(
        long,
        visible_alias = "host-ip",
        env = "BPF2IAM_NODE_IP",
        value_name = "ADDRESS"
    )]
    pub node_ip: Vec<String>,

    /// Port on which redirected connections arrive; 0 is any free one
    #[arg(
        long,
        visible_alias = "app-port",
        env = "BPF2IAM_LISTEN_PORT",
        value_name = "PORT",
        default_value_t = 0
    )]
    pub listen_port: u16,

    /// Where pods come from: a directory of Kubernetes manifests, watched for changes
    #[arg(long, env = "BPF2IAM_PODS", value_name = "file:DIR")]
    pub pods: String,

    /// The host's cgroup v2 mount
    #[arg(
        long,
        env = "BPF2IAM_CGROUP_ROOT",
        value_name = "DIR",
        default_value = "/sys/fs/cgroup"
    )]
    pub cgroup_root: PathBuf,

    /// The cgroup of all pods below --cgroup-root [default: found]
    #[arg(long, env = "BPF2IAM_KUBEPODS", value_name = "PATH")]
    pub kubepods: Option<String>,

    /// Where the control socket is.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Where /metrics, /healthz and /readyz are served; `off` for nowhere
    #[arg(
        long,
        env = "BPF2IAM_ADMIN_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "0.0.0.0:9998"
    )]
    pub admin_listen: String,

    /// What is put before role names that are no ARN: `arn:aws:iam::ACCOUNT:role/[PATH/]`
    #[arg(long, env = "BPF2IAM_BASE_ROLE_ARN", value_name = "ARN")]
    pub base_role_arn: Option<String>,

    /// Role (name or ARN) of pods that name none [default: no role]
    #[arg(long, env = "BPF2IAM_DEFAULT_ROLE", value_name = "ROLE")]
    pub default_role: Option<String>,

    /// How much the log says
    #[arg(
        long,
        env = "BPF2IAM_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: telemetry::Level,

    /// How the log says it [default: text on a terminal, else json]
    #[arg(long, env = "BPF2IAM_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<telemetry::Format>,
}

/// What to show, and how.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Where the control socket is.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Tables for people, or JSON for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: Output,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For programs.
    Json,
    /// For people.
    Text,
}

/// What the agent and the commands that ask it have in common.
#[derive(Debug, clap::Args)]
pub struct Runtime {
    /// Directory of the control socket
    #[arg(
        long = "runtime-dir",
        env = "BPF2IAM_RUNTIME_DIR",
        value_name = "DIR",
        default_value = "/run/bpf2iam"
    )]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests;
