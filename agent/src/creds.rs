//! Credentials: there before they are asked for, fresh, and never anybody else's.
//!
//! What the cache publishes for an [`Identity`] is a [`State`]; asking for it never calls STS, a task per
//! identity does. [`Source`] is the only part that talks to STS; who makes the tokens that it shows there for
//! a pod, only a [`TokenSource`](web_identity::TokenSource) knows.

mod board;
mod cache;
mod error;
mod holdings;
mod identity;
mod keeper;
mod metrics;
pub mod pace;
pub mod schedule;
mod secret;
mod session;
pub mod sts;
mod trouble;
mod turnstile;
pub mod web_identity;

use std::{collections::HashMap, fmt, sync::Arc};

use jiff::Timestamp;

pub use cache::{Cache, Status};
pub use error::{Lasting, SourceError};
pub use identity::{Identity, WebIdentity};
pub use metrics::{Metrics, Outcome};
pub use schedule::Beginning;
pub use secret::{Derived, Draft, Secret};
pub use session::{
    InvalidLength, InvalidPolicies, InvalidTags, Policies, SessionLength, Tags, session_name,
};

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
    /// Nothing is known: a call is under way, or comes as soon as somebody waits.
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

/// Gets credentials for an identity from the outside world.
pub trait Source: fmt::Debug + Send + Sync + 'static {
    /// One attempt. It ends by itself within a few seconds.
    fn fetch(
        &self,
        identity: &Identity,
    ) -> impl Future<Output = Result<Credentials, SourceError>> + Send;

    /// From now on only those of `wanted` are needed: what is kept for others may be forgotten.
    fn retain(&self, _wanted: &Wanted) {}
}

/// The identities that pods of this node need, and since when.
pub type Wanted = HashMap<Identity, Beginning>;

#[cfg(test)]
mod tests;
