//! What a client is run for. Every program of ours takes the same words.

use std::{ffi::OsString, time::Duration};

/// What a client is to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// The id of its access key, a space, and what STS calls its bearer. In a Region that it is told.
    Caller,
    /// The same so many times, as a program that goes on running, with a pause between two of them.
    Refresh { times: u32, pause: Duration },
    /// The Region that the metadata service tells it: nobody else does.
    Region,
}

impl Task {
    /// What its program is started with.
    pub(super) fn words(self) -> Vec<OsString> {
        match self {
            Self::Caller => Vec::new(),
            Self::Refresh { times, pause } => [
                "refresh".to_owned(),
                times.to_string(),
                pause.as_secs().to_string(),
            ]
            .map(OsString::from)
            .into(),
            Self::Region => vec!["region".into()],
        }
    }
}
