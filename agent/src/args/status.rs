//! The flags of `status`.

use super::{Output, Runtime};

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
