//! What an SDK asks first in a pod, and how long it waits for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The first questions of a client (a token, the name of the role, its keys), each over a connection of its own. Times
/// count from the moment at which it was to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sequence {
    /// When its first connection began.
    pub began: Duration,
    /// When the last answer was there.
    pub ended: Duration,
    /// How long the longest of the answers took.
    pub longest: Duration,
    /// The access key that it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// Which question had no good answer, and what came instead. None is asked after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What `pod-client sequence` prints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequences {
    /// One for each moment that it was told.
    pub sequences: Vec<Sequence>,
}
