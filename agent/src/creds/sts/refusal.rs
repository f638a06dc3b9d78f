//! A call that STS did not grant: what its error means, by its code on the wire, and what there is to do about it.

mod advice;
mod kind;
mod unsaid;

use std::error::Error;

use aws_sdk_sts::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::chain::one_line;

use super::{super::SourceError, lengths::Limit};

pub(super) use advice::Circumstances;

use kind::Kind;

/// What went wrong with a call.
#[derive(Debug)]
pub(super) enum Refusal {
    /// STS says what.
    Said {
        /// Of the answer.
        status: u16,
        /// STS's error code.
        code: String,
        /// Its words.
        message: String,
    },
    /// Nothing was sent, as there are no keys to sign it with.
    Unsigned {
        /// Who has none, and why.
        message: String,
    },
    /// There is no answer of STS, or none that says anything.
    Unsaid {
        /// What there is instead, and why.
        message: String,
    },
}

impl Refusal {
    /// What is left of an error of the SDK, whatever the call was.
    pub(super) fn of<E>(failure: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = failure
            .raw_response()
            .map(|answer| answer.status().as_u16());
        let error = failure.as_service_error();
        match error.and_then(|error| Some((error.code()?, error.message()))) {
            Some((code, message)) => Self::Said {
                status: status.unwrap_or_default(),
                code: code.to_owned(),
                // What follows the first line in the message about a wrong signature is the signed request, with the
                // session token of the node in it.
                message: one_line(message.unwrap_or("no message")),
            },
            None => match unsaid::without_keys(failure) {
                Some(message) => Self::Unsigned { message },
                None => Self::Unsaid {
                    message: unsaid::told(failure, status),
                },
            },
        }
    }

    /// Whether there were no keys to sign with.
    pub(super) const fn is_for_want_of_keys(&self) -> bool {
        matches!(self, Self::Unsigned { .. })
    }

    /// Whether the keys that the call was signed with are not good any more, and others may be.
    pub(super) fn is_of_our_keys(&self) -> bool {
        matches!(
            self.code(),
            "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
        )
    }

    /// Whether another token might be taken: this one has ended, or is of keys or a pod that are not any more.
    pub(super) fn is_of_the_token(&self) -> bool {
        matches!(
            self.code(),
            "ExpiredToken" | "ExpiredTokenException" | "IDPRejectedClaim" | "InvalidIdentityToken"
        )
    }

    /// What the session is too long for, if that is all.
    pub(super) fn limit(&self) -> Option<Limit> {
        let Self::Said { message, .. } = self else {
            return None;
        };
        // STS has no codes of their own for them. Both messages name the parameter as well.
        match self.code() {
            "ValidationError" if message.contains("role chaining") => Some(Limit::Chaining),
            "ValidationError" if message.contains("MaxSessionDuration") => Some(Limit::Role),
            _ => None,
        }
    }

    /// The same in our terms, with what to do about it.
    pub(super) fn into_error(self, circumstances: &Circumstances<'_>) -> SourceError {
        let role = circumstances.identity.role.clone();
        let (status, code, message) = match self {
            Self::Unsigned { message } | Self::Unsaid { message } => {
                return SourceError::Unavailable { role, message };
            }
            Self::Said {
                status,
                code,
                message,
            } => (status, code, message),
        };
        let message = circumstances.with_advice(&code, message);
        match Kind::of(&code, status) {
            Kind::Denied => SourceError::Denied {
                role,
                code,
                message,
            },
            Kind::Throttled => SourceError::Throttled { message },
            Kind::Invalid => SourceError::Invalid {
                role,
                code,
                message,
            },
            Kind::OurKeys if circumstances.identity.web_identity.is_none() => {
                let message =
                    format!("the node's own keys or its clock are wrong: {code}: {message}");
                SourceError::Unavailable { role, message }
            }
            Kind::OurKeys | Kind::Unavailable => {
                let message = format!("{code}: {message}");
                SourceError::Unavailable { role, message }
            }
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Said { code, .. } => code,
            Self::Unsigned { .. } | Self::Unsaid { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_is_too_long_is_asked_for_again_as_a_shorter_one() {
        let chaining = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        let role =
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.";
        let other = "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy constraint";
        for (code, message, limit) in [
            ("ValidationError", chaining, Some(Limit::Chaining)),
            ("ValidationError", role, Some(Limit::Role)),
            ("ValidationError", other, None),
            ("AccessDenied", chaining, None),
            ("Throttling", "Rate exceeded", None),
        ] {
            let refusal = Refusal::Said {
                status: 400,
                code: code.to_owned(),
                message: message.to_owned(),
            };
            assert_eq!(refusal.limit(), limit, "{code}: {message}");
        }
        let message = role.to_owned();
        assert_eq!(Refusal::Unsaid { message }.limit(), None);
    }
}
