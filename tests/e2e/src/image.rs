//! The images on the node.

/// A shell, curl, and clients on AWS SDKs.
pub const CLIENTS: &str = "local/clients:1";
/// The agent's, without its tag.
pub const AGENT: &str = "bpf2iam";
/// The version that is installed.
pub const VERSION: &str = "0.1.0";
/// One to upgrade to.
pub const NEXT_VERSION: &str = "0.2.0";
