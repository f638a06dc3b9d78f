//! Credentials: there before they are asked for, fresh, and never anybody else's.
//!
//! What the cache publishes for an [`Identity`] is a [`State`]; asking for it never calls STS, a task per
//! identity does. [`Source`] is the only part that talks to STS; who makes the tokens that it shows there for
//! a pod, only a [`TokenSource`](web_identity::TokenSource) knows.

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
pub mod web_identity;

use std::{collections::HashSet, fmt, sync::Arc};

use jiff::Timestamp;

use crate::id::{ExternalId, PodRef, PodUid, RoleArn};

pub use cache::{Cache, Status};
pub use metrics::{Metrics, Outcome};
pub use secret::{Derived, Secret};
pub use session::session_name;

use web_identity::TokenError;

/// A session at STS. Two pods share credentials only when all of this is equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The role to assume.
    pub role: RoleArn,
    /// What the role's trust policy asks for, if anything.
    pub external_id: Option<ExternalId>,
    /// The session's name, as STS takes it.
    pub session_name: Arc<str>,
    /// Whose token is exchanged for the role, if it is not the node's role that assumes it.
    pub web_identity: Option<WebIdentity>,
}

/// A pod that shows its ServiceAccount's token to STS. The token is bound to the pod, and so is the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebIdentity {
    /// The pod.
    pub pod: PodRef,
    /// Its UID at the API server: a later pod may bear the same name.
    pub uid: PodUid,
    /// Its ServiceAccount, in its namespace.
    pub service_account: Arc<str>,
    /// Whom the token is for.
    pub audience: Arc<str>,
    /// How long the token shall live, in seconds.
    pub life: u32,
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
        /// STS's error code.
        code: String,
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
    /// There is no token to show to STS.
    #[error("no token of {} for {role}: {reason}", whose.subject())]
    NoToken {
        /// The role that is to be assumed with it.
        role: RoleArn,
        /// Whose token.
        whose: Box<WebIdentity>,
        /// Why there is none.
        reason: TokenError,
    },
}

impl SourceError {
    /// Whether it will be the same until somebody changes something: it makes no sense to wait.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Denied { .. } | Self::Invalid { .. } => true,
            Self::Throttled { .. } | Self::Unavailable { .. } => false,
            Self::NoToken { reason, .. } => reason.is_final(),
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
    fn retain(&self, _wanted: &HashSet<Identity>) {}
}
