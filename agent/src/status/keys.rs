//! Whether there are keys for a role, what was last heard of STS, and when it is asked again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::creds::{self, State};

/// Whether there are keys for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Keys {
    /// They are being fetched, or will be as soon as they are asked for.
    Fetching {
        /// When the next attempt comes by itself; none while one waits for its turn or is under way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
    },
    /// There are.
    Ready {
        /// Which: the part of them that is no secret, as audit logs have it.
        access_key_id: String,
        /// When we got them.
        refreshed: Timestamp,
        /// When they end.
        expires: Timestamp,
        /// When they are replaced; none while that is being tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
        /// Why they were not replaced the last time, if that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// There are none.
    Failed {
        /// What STS said last.
        message: String,
        /// When the next attempt comes by itself; none while one is under way, and where nothing but a change of what
        /// is asked for, or of who asks, makes sense.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<Timestamp>,
    },
}

impl From<&creds::Status> for Keys {
    fn from(status: &creds::Status) -> Self {
        let next = status.next;
        let error = status.failure.as_ref();
        match (&status.state, error) {
            (State::Ready(keys), _) => Self::Ready {
                access_key_id: keys.access_key_id.clone(),
                refreshed: keys.issued,
                expires: keys.expires,
                next,
                error: error.map(ToString::to_string),
            },
            // Requests that come now have STS asked once more. To people it is still the last that was heard.
            (State::Failed(error), _) | (State::Fetching, Some(error)) => Self::Failed {
                message: error.to_string(),
                next,
            },
            (State::Fetching, None) => Self::Fetching { next },
        }
    }
}
