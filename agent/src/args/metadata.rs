//! The flags about the metadata service: the node's own, and what pods see of it.

use crate::metadata::TokenUse;

/// Where the node's metadata service is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Metadata service")]
pub struct Metadata {
    /// The metadata service of this node: a URL, or a host and perhaps a port; `off` where there is none
    /// [default: `$AWS_EC2_METADATA_SERVICE_ENDPOINT`, else `http://169.254.169.254`]
    #[arg(long, env = "BPF2IAM_METADATA_ADDR", value_name = "ADDRESS|off")]
    pub metadata_addr: Option<String>,

    /// The availability zone of this node, where no metadata service says it
    #[arg(long, env = "BPF2IAM_AVAILABILITY_ZONE", value_name = "ZONE")]
    pub availability_zone: Option<String>,

    /// What pods see of it.
    #[command(flatten)]
    pub access: Access,
}

/// What pods see of the metadata service, and how they have to ask.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Metadata service")]
pub struct Access {
    /// Whether pods need a session token (IMDSv2) to read anything, unless their namespace says it
    #[arg(
        long,
        env = "BPF2IAM_IMDS_TOKENS",
        value_name = "USE",
        default_value = "optional",
        ignore_case = true
    )]
    pub imds_tokens: TokenUse,

    /// Path that all pods may read beside the usual ones: * stands for anything within a segment, ** for any segments
    /// (repeated, or with commas or blanks)
    #[arg(long, env = "BPF2IAM_ALLOW_PATH", value_name = "GLOB")]
    pub allow_path: Vec<String>,
}
