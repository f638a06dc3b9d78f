//! Why there are no credentials.

use crate::id::RoleArn;

use super::{WebIdentity, web_identity::TokenError};

/// Why a source gave no credentials.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// STS does not let this role be assumed, and will go on so until somebody changes something at AWS: a policy, the
    /// identity provider, the regions of an account.
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
    /// The request is wrong in itself, such as a policy that is none: STS will never take it.
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

/// How long a failure is going to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// Until what is asked for is something else.
    ForGood,
    /// Until somebody changes something, such as a policy; that takes minutes.
    AWhile,
    /// Perhaps no longer than a moment.
    AMoment,
}

impl SourceError {
    /// How long it is going to last.
    pub const fn lasting(&self) -> Lasting {
        match self {
            Self::Invalid { .. } => Lasting::ForGood,
            Self::Denied { .. } => Lasting::AWhile,
            Self::NoToken { reason, .. } if reason.is_final() => Lasting::AWhile,
            Self::Throttled { .. } | Self::Unavailable { .. } | Self::NoToken { .. } => {
                Lasting::AMoment
            }
        }
    }

    /// Whether it will be the same until somebody changes something: it makes no sense to wait.
    pub const fn is_final(&self) -> bool {
        !matches!(self.lasting(), Lasting::AMoment)
    }
}
