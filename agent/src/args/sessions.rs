//! The flags about sessions at STS.

use crate::{creds::SessionLength, pods::binding::Template};

/// What is said of the sessions of pods at STS.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sessions")]
pub struct Sessions {
    /// Name of a pod's session; {namespace}, {pod}, {uid}, {service-account} and {node} are put in
    #[arg(
        long,
        env = "BPF2IAM_SESSION_NAME",
        value_name = "TEMPLATE",
        default_value = Template::USUAL
    )]
    pub session_name: String,

    /// Tags of a pod's session: all that EKS Pod Identity gives, some of them, KEY=VALUE; with commas [default: off]
    #[arg(
        long,
        env = "BPF2IAM_SESSION_TAGS",
        value_name = "TAGS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub session_tags: Option<String>,

    /// What the tag eks-cluster-name says
    #[arg(long, env = "BPF2IAM_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,

    /// What the tag eks-cluster-arn says
    #[arg(long, env = "BPF2IAM_CLUSTER_ARN", value_name = "ARN")]
    pub cluster_arn: Option<String>,

    /// How long a session lasts at most, 15m to 12h: a pod may want less
    #[arg(
        long,
        env = "BPF2IAM_SESSION_DURATION",
        value_name = "DURATION",
        default_value = "1h"
    )]
    pub session_duration: SessionLength,
}
