//! Flags of kube2iam that change nothing here, or that another flag says better. They are understood, so that its
//! command line works as it is; what is said about each is in [`config`](crate::config).

use std::time::Duration;

use crate::duration;

use super::Switch;

/// What only kube2iam needs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Of kube2iam; understood, and not needed")]
pub struct Kube2iam {
    /// Serve metrics at this port of all addresses; --admin-listen says it better
    #[arg(long, env = "BPF2IAM_METRICS_PORT", value_name = "PORT")]
    pub metrics_port: Option<u16>,

    /// Add an iptables rule: there is none
    #[arg(
        long,
        env = "BPF2IAM_IPTABLES",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub iptables: Option<Switch>,

    /// Interface of the pods: none is looked at
    #[arg(long, env = "BPF2IAM_HOST_INTERFACE", value_name = "NAME")]
    pub host_interface: Option<String>,

    /// Call the regional STS endpoint: no other is ever called
    #[arg(
        long,
        env = "BPF2IAM_USE_REGIONAL_STS_ENDPOINT",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub use_regional_sts_endpoint: Option<Switch>,

    /// How often all pods are read anew: they are watched
    #[arg(
        long,
        env = "BPF2IAM_CACHE_RESYNC_PERIOD",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    pub cache_resync_period: Option<Duration>,

    /// Ask the API server about pods with one address: addresses tell nobody's role
    #[arg(
        long,
        env = "BPF2IAM_RESOLVE_DUPLICATE_CACHE_IPS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub resolve_duplicate_cache_ips: Option<Switch>,

    /// How long a pod is looked for: 900 ms, because SDKs wait for a second
    #[arg(
        long,
        env = "BPF2IAM_BACKOFF_MAX_ELAPSED_TIME",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    pub backoff_max_elapsed_time: Option<Duration>,

    /// How long to pause between two look-ups of a pod: what becomes known is seen at once
    #[arg(
        long,
        env = "BPF2IAM_BACKOFF_MAX_INTERVAL",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    pub backoff_max_interval: Option<Duration>,

    /// How long credentials are kept: they are renewed at half of --session-duration
    #[arg(
        long,
        env = "BPF2IAM_IAM_ROLE_SESSION_TTL",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    pub iam_role_session_ttl: Option<Duration>,

    /// How long errors of STS are kept: no request of a pod calls STS
    #[arg(
        long,
        env = "BPF2IAM_IAM_ROLE_ERROR_TTL",
        value_name = "DURATION",
        value_parser = duration::parse
    )]
    pub iam_role_error_ttl: Option<Duration>,

    /// Serve /debug/store: `bpf2iam status` shows it
    #[arg(
        long,
        env = "BPF2IAM_DEBUG",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub debug: Option<Switch>,
}
