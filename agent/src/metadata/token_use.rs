//! Whether reading takes a session token.

use clap::ValueEnum;

/// Whether reading takes a token (`--imds-tokens`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenUse {
    /// As on EC2 by default: who sends none is served. Who sends a wrong one is not.
    Optional,
    /// IMDSv2 only.
    Required,
}
