//! The flags of `run`.

use crate::{
    creds::Secret,
    pods::{annotation, binding::Exchange, compat::Compat, restriction},
    telemetry,
};

use super::{Cgroups, Kube2iam, Lifetime, Metadata, NetnsDir, Runtime, Sessions, Switch};

/// How to run the agent.
#[derive(Debug, clap::Args)]
// As with kube2iam, what is given twice is what was given last.
#[command(args_override_self = true)]
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

    /// Where the pods' cgroups are.
    #[command(flatten)]
    pub cgroups: Cgroups,

    /// Where the pods' network namespaces are.
    #[command(flatten)]
    pub netns_dir: NetnsDir,

    /// Where the control socket is.
    #[command(flatten)]
    pub runtime: Runtime,

    /// Where /metrics, /healthz and /readyz are served; `off` for nowhere [default: 0.0.0.0:9998]
    #[arg(long, env = "BPF2IAM_ADMIN_LISTEN", value_name = "ADDRESS:PORT")]
    pub admin_listen: Option<String>,

    /// What outlives the agent.
    #[command(flatten)]
    pub lifetime: Lifetime,

    /// The node's metadata service, and what pods see of it.
    #[command(flatten)]
    pub metadata: Metadata,

    /// Where pods come from.
    #[command(flatten)]
    pub kubernetes: Kubernetes,

    /// Which pod may have which role.
    #[command(flatten)]
    pub roles: Roles,

    /// What is said of their sessions.
    #[command(flatten)]
    pub sessions: Sessions,

    /// What is logged.
    #[command(flatten)]
    pub log: Log,

    /// What only kube2iam needs.
    #[command(flatten)]
    pub kube2iam: Kube2iam,
}

/// Where pods come from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pods")]
pub struct Kubernetes {
    /// Where pods come from: the Kubernetes API, or a directory of manifests that is watched for changes
    #[arg(
        long,
        env = "BPF2IAM_PODS",
        value_name = "kube|file:DIR",
        default_value = "kube"
    )]
    pub pods: String,

    /// File that says where the API server is and how to speak to it [default: as in a pod of the cluster]
    #[arg(long, env = "BPF2IAM_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<String>,

    /// URL of the API server; with --api-token
    #[arg(long, env = "BPF2IAM_API_SERVER", value_name = "URL")]
    pub api_server: Option<String>,

    /// Token for the API server; better given by its variable, as everybody can read command lines
    #[arg(
        long,
        env = "BPF2IAM_API_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        value_parser = secret
    )]
    pub api_token: Option<Secret>,

    /// Do not check who the API server is: for tests only
    #[arg(
        long,
        env = "BPF2IAM_INSECURE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub insecure: Option<Switch>,
}

/// Which pod may have which role.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Roles")]
pub struct Roles {
    /// What is put before role names that are no ARN: `arn:aws:iam::ACCOUNT:role/[PATH/]`
    #[arg(long, env = "BPF2IAM_BASE_ROLE_ARN", value_name = "ARN")]
    pub base_role_arn: Option<String>,

    /// Take the account of the node's instance profile for --base-role-arn
    #[arg(
        long,
        env = "BPF2IAM_AUTO_DISCOVER_BASE_ARN",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub auto_discover_base_arn: Option<Switch>,

    /// Role (name or ARN) of pods that name none [default: no role]
    #[arg(long, env = "BPF2IAM_DEFAULT_ROLE", value_name = "ROLE")]
    pub default_role: Option<String>,

    /// Give the node's own role to pods that name none
    #[arg(
        long,
        env = "BPF2IAM_AUTO_DISCOVER_DEFAULT_ROLE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub auto_discover_default_role: Option<Switch>,

    /// Annotation of a pod that names its role
    #[arg(
        long,
        env = "BPF2IAM_IAM_ROLE_KEY",
        value_name = "KEY",
        default_value = annotation::ROLE
    )]
    pub iam_role_key: String,

    /// Annotation of a pod with the external id that its role's trust policy asks for
    #[arg(
        long,
        env = "BPF2IAM_IAM_EXTERNAL_ID",
        value_name = "KEY",
        default_value = annotation::EXTERNAL_ID
    )]
    pub iam_external_id: String,

    /// Annotation of a namespace with the roles that its pods may have
    #[arg(
        long,
        env = "BPF2IAM_NAMESPACE_KEY",
        value_name = "KEY",
        default_value = annotation::ALLOWED_ROLES
    )]
    pub namespace_key: String,

    /// Pods may have only the roles that their namespace allows
    #[arg(
        long,
        env = "BPF2IAM_NAMESPACE_RESTRICTIONS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub namespace_restrictions: Option<Switch>,

    /// What the entries of --namespace-key are
    #[arg(
        long,
        env = "BPF2IAM_NAMESPACE_RESTRICTION_FORMAT",
        value_name = "FORMAT",
        default_value = "glob",
        ignore_case = true
    )]
    pub namespace_restriction_format: restriction::Format,

    /// Decide as another system did where that is less safe
    #[arg(
        long,
        env = "BPF2IAM_COMPAT",
        value_name = "SYSTEM",
        default_value = "none"
    )]
    pub compat: Compat,

    /// How roles are assumed: with the node's role, or with the token of the pod's ServiceAccount
    #[arg(
        long,
        env = "BPF2IAM_CREDENTIALS",
        value_name = "HOW",
        default_value = "auto"
    )]
    pub credentials: Exchange,

    /// Pods that keep the node's own identity; `none` for nobody (repeated, or with commas or blanks)
    /// [default: kube-system/hostNetwork]
    #[arg(
        long,
        env = "BPF2IAM_NODE_ROLE_FOR",
        value_name = "NAMESPACE[/SERVICEACCOUNT|/hostNetwork]"
    )]
    pub node_role_for: Vec<String>,
}

/// What is logged.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// How much the log says
    #[arg(
        long = "log-level",
        env = "BPF2IAM_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        ignore_case = true
    )]
    pub level: telemetry::Level,

    /// How the log says it [default: text on a terminal, else json]
    #[arg(
        long = "log-format",
        env = "BPF2IAM_LOG_FORMAT",
        value_name = "FORMAT",
        ignore_case = true
    )]
    pub format: Option<telemetry::Format>,

    /// Say at least as much as with --log-level=debug
    #[arg(
        long,
        env = "BPF2IAM_VERBOSE",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub verbose: Option<Switch>,
}

/// Whatever it is.
#[expect(clippy::unnecessary_wraps, reason = "what clap wants of a parser")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}
