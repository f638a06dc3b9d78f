//! Patterns of paths.

use std::str::FromStr;

/// A pattern of paths: `*` is anything within a segment, `**` any number of segments, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// A text that is no such pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no path")]
pub struct InvalidGlob;

impl Glob {
    /// Whether `path` is one of those meant.
    pub fn matches(&self, path: &str) -> bool {
        self.0 == path
    }

    /// Whether one of those meant may be below `directory`.
    pub fn reaches(&self, directory: &str) -> bool {
        self.0.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    fn from_str(text: &str) -> Result<Self, InvalidGlob> {
        Ok(Self(text.to_owned()))
    }
}
