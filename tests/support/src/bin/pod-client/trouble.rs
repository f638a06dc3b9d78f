//! Why an attempt ended early. That is no failure of this program: it is what the attempt found.

use std::io;

/// What ended an attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The kernel said no, or the other side did.
    #[error("{step}: {source}")]
    System {
        step: &'static str,
        source: io::Error,
    },
    /// This kernel has no such thing.
    #[error("this kernel has no {0}")]
    Unsupported(&'static str),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// It is not safe here.
    #[error("{0}")]
    Refused(String),
}

/// Says what was being done.
pub(crate) trait During<T> {
    fn during(self, step: &'static str) -> Result<T, Trouble>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, step: &'static str) -> Result<T, Trouble> {
        self.map_err(|error| Trouble::System {
            step,
            source: error.into(),
        })
    }
}

/// A report as it is printed.
pub(crate) fn json(report: &impl serde::Serialize) -> Result<String, Trouble> {
    serde_json::to_string(report).during("report")
}
