//! Credentials: there before they are asked for, fresh, and never anybody else's.
//!
//! What the cache publishes for an [`Identity`] is a [`State`]; asking for it never calls STS, a task per
//! identity does. [`Source`] is the only part that talks to STS.

mod board;
mod cache;
mod holdings;
mod keeper;
mod metrics;
mod pace;
pub mod schedule;
mod secret;
mod session;
pub mod sts;

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::id::{ExternalId, RoleArn};

pub use cache::{Cache, Status};
pub use metrics::{Metrics, Outcome};
pub use secret::{Derived, Secret};
pub use session::session_name;

/// A session at STS. Two pods share credentials only when all of this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The role to assume.
    pub role: RoleArn,
    /// What the role's trust policy asks for, if anything.
    pub external_id: Option<ExternalId>,
    /// The session's name, as STS takes it.
    pub session_name: Arc<str>,
}

/// Keys of a session, with the times that its clients are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `ASIA...`
    pub access_key_id: String,
    /// The secret key.
    pub secret_access_key: Secret,
    /// The session token.
    pub session_token: Secret,
    /// When we got them.
    pub issued: Timestamp,
    /// When they end.
    pub expires: Timestamp,
    /// The document in which the metadata service shows them.
    pub document: Derived,
}

/// What there is for an identity at this moment.
#[derive(Clone, Debug)]
pub enum State {
    /// Nothing yet; a call is under way.
    Fetching,
    /// Keys that are valid.
    Ready(Arc<Credentials>),
    /// No keys, and why. Another attempt comes by itself.
    Failed(Arc<SourceError>),
}

impl State {
    /// Every [`word`](Self::word).
    pub const WORDS: [&'static str; 3] = ["fetching", "ready", "failed"];

    /// A word for people and metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Ready(_) => "ready",
            Self::Failed(_) => "failed",
        }
    }

    /// When the keys end, if there are any.
    pub fn expires(&self) -> Option<Timestamp> {
        match self {
            Self::Ready(keys) => Some(keys.expires),
            Self::Fetching | Self::Failed(_) => None,
        }
    }
}

/// Why a source gave no credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// STS says that this role may not be assumed, and will go on saying so until somebody changes a policy.
    #[error("STS refuses {role}: {message}")]
    Denied {
        /// The role that was asked for.
        role: RoleArn,
        /// In STS's words.
        message: String,
    },
    /// STS asks for fewer calls.
    #[error("STS throttles: {message}")]
    Throttled {
        /// In STS's words.
        message: String,
    },
    /// STS does not take the request: a wrong name, duration or the like.
    #[error("STS does not take the request for {role}: {code}: {message}")]
    Invalid {
        /// The role that was asked for.
        role: RoleArn,
        /// STS's error code.
        code: String,
        /// In STS's words.
        message: String,
    },
    /// STS was not reached, gave no answer in time, or an answer that is none; or we have no keys to sign with.
    #[error("no answer from STS for {role}: {message}")]
    Unavailable {
        /// The role that was asked for.
        role: RoleArn,
        /// What happened, with all causes.
        message: String,
    },
}

/// Gets credentials for an identity from the outside world.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// One attempt. It ends by itself within a few seconds.
    fn fetch(
        &self,
        identity: &Identity,
    ) -> impl Future<Output = Result<Credentials, SourceError>> + Send;
}
