//! What a failure is about: failures of the same topic are one trouble.

use std::mem::{self, Discriminant};

use crate::id::RoleArn;

use super::super::{Identity, Lasting, SourceError, WebIdentity, web_identity::TokenError};

/// What a failure is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// STS gives no answer, to anybody.
    Unavailable,
    /// STS asks everybody for fewer calls.
    Throttled,
    /// The API server makes no tokens, for anybody.
    NoTokens,
    /// Keys end while nothing is known to be wrong.
    Late,
    /// STS says no to a role.
    Refused(Refusal),
    /// There is no token for the pods of a ServiceAccount.
    NoToken {
        /// As trust policies name it.
        subject: String,
        why: Discriminant<TokenError>,
    },
}

/// What STS says to those who ask for a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    role: RoleArn,
    code: String,
    /// Its words, without what differs between pods; none for all further words of this code.
    words: Option<String>,
}

impl Topic {
    /// What `error`, which `identity` met with, is about.
    pub(super) fn of(identity: &Identity, error: &SourceError) -> Self {
        match error {
            SourceError::Unavailable { .. } => Self::Unavailable,
            SourceError::Throttled { .. } => Self::Throttled,
            SourceError::NoToken { .. } if error.lasting() == Lasting::AMoment => Self::NoTokens,
            SourceError::NoToken { whose, reason, .. } => Self::NoToken {
                subject: whose.subject(),
                why: mem::discriminant(reason),
            },
            SourceError::Denied {
                role,
                code,
                message,
            }
            | SourceError::Invalid {
                role,
                code,
                message,
            } => Self::Refused(Refusal {
                role: role.clone(),
                code: code.clone(),
                words: Some(shared(message, identity)),
            }),
        }
    }

    /// Whether everybody has it. The others are as many as tenants make them.
    pub(super) const fn is_for_all(&self) -> bool {
        match self {
            Self::Unavailable | Self::Throttled | Self::NoTokens | Self::Late => true,
            Self::Refused(_) | Self::NoToken { .. } => false,
        }
    }

    /// Whether it often passes by itself in a moment.
    pub(super) const fn may_pass(&self) -> bool {
        match self {
            Self::Unavailable | Self::Throttled | Self::NoTokens => true,
            Self::Late | Self::Refused(_) | Self::NoToken { .. } => false,
        }
    }

    /// The role, if it is about one.
    pub(super) const fn role(&self) -> Option<&RoleArn> {
        match self {
            Self::Refused(refusal) => Some(&refusal.role),
            Self::Unavailable
            | Self::Throttled
            | Self::NoTokens
            | Self::Late
            | Self::NoToken { .. } => None,
        }
    }

    /// What to look at, where the error itself does not say it.
    pub(super) const fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable => Some(
                "look at the way to STS (AWS_REGION, AWS_ENDPOINT_URL_STS, proxies, firewalls), and at the node's own \
                 role and clock",
            ),
            Self::Throttled => Some(
                "the agent calls less often by itself; STS counts all calls of the account in the region, so see who \
                 makes them",
            ),
            Self::NoTokens => Some("look at the way to the API server, and at its own log"),
            Self::Late => {
                Some("look whether the machine slept or its clock jumped, and at the way to STS")
            }
            Self::Refused(_) | Self::NoToken { .. } => None,
        }
    }
}

impl Refusal {
    /// Whether `other` differs in no more than STS's words.
    pub(super) fn resembles(&self, other: &Self) -> bool {
        (&self.role, &self.code) == (&other.role, &other.code)
    }

    /// What stands for all words that are too many.
    pub(super) fn wordless(self) -> Self {
        Self {
            words: None,
            ..self
        }
    }
}

/// What is the same in a message for all pods: without what identifies one, and without numbers.
fn shared(message: &str, identity: &Identity) -> String {
    let mut text = message.replace(&*identity.session_name, "~");
    if let Some(whose) = &identity.web_identity {
        for mark in marks(whose) {
            text = text.replace(&mark, "~");
        }
    }
    text.retain(|letter| !letter.is_ascii_digit());
    text
}

/// How messages name a pod; the longest first, for they have the others in them.
fn marks(whose: &WebIdentity) -> [String; 4] {
    [
        whose.subject(),
        whose.uid.to_string(),
        whose.pod.to_string(),
        whose.audience.to_string(),
    ]
}
