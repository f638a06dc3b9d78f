//! The errors of STS: their names on the wire, their HTTP status, and what STS says with them.

use std::fmt;

use hyper::StatusCode;
use serde::{Deserialize, Serialize};

/// An error code of STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the STS documentation")]
pub enum Code {
    AccessDenied,
    ExpiredToken,
    ExpiredTokenException,
    #[serde(rename = "IDPCommunicationError")]
    IdpCommunicationError,
    #[serde(rename = "IDPRejectedClaim")]
    IdpRejectedClaim,
    IncompleteSignature,
    InternalFailure,
    InvalidAction,
    InvalidClientTokenId,
    InvalidIdentityToken,
    MalformedPolicyDocument,
    MissingAuthenticationToken,
    NoSuchVersion,
    PackedPolicyTooLarge,
    RegionDisabledException,
    RequestExpired,
    RequestLimitExceeded,
    ServiceUnavailable,
    SignatureDoesNotMatch,
    Throttling,
    ThrottlingException,
    ValidationError,
}

impl Code {
    /// As it stands on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDenied",
            Self::ExpiredToken => "ExpiredToken",
            Self::ExpiredTokenException => "ExpiredTokenException",
            Self::IdpCommunicationError => "IDPCommunicationError",
            Self::IdpRejectedClaim => "IDPRejectedClaim",
            Self::IncompleteSignature => "IncompleteSignature",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidAction => "InvalidAction",
            Self::InvalidClientTokenId => "InvalidClientTokenId",
            Self::InvalidIdentityToken => "InvalidIdentityToken",
            Self::MalformedPolicyDocument => "MalformedPolicyDocument",
            Self::MissingAuthenticationToken => "MissingAuthenticationToken",
            Self::NoSuchVersion => "NoSuchVersion",
            Self::PackedPolicyTooLarge => "PackedPolicyTooLarge",
            Self::RegionDisabledException => "RegionDisabledException",
            Self::RequestExpired => "RequestExpired",
            Self::RequestLimitExceeded => "RequestLimitExceeded",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::SignatureDoesNotMatch => "SignatureDoesNotMatch",
            Self::Throttling => "Throttling",
            Self::ThrottlingException => "ThrottlingException",
            Self::ValidationError => "ValidationError",
        }
    }

    /// The HTTP status that comes with it.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::ExpiredTokenException
            | Self::IdpCommunicationError
            | Self::IncompleteSignature
            | Self::InvalidAction
            | Self::InvalidIdentityToken
            | Self::MalformedPolicyDocument
            | Self::NoSuchVersion
            | Self::PackedPolicyTooLarge
            | Self::Throttling
            | Self::ThrottlingException
            | Self::ValidationError => StatusCode::BAD_REQUEST,
            Self::AccessDenied
            | Self::ExpiredToken
            | Self::IdpRejectedClaim
            | Self::InvalidClientTokenId
            | Self::MissingAuthenticationToken
            | Self::RegionDisabledException
            | Self::RequestExpired
            | Self::SignatureDoesNotMatch => StatusCode::FORBIDDEN,
            Self::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::RequestLimitExceeded | Self::ServiceUnavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// What STS says with it, where it has nothing particular to say.
    pub const fn message(self) -> &'static str {
        match self {
            Self::AccessDenied => "Access denied",
            Self::ExpiredToken => "The security token included in the request is expired",
            Self::ExpiredTokenException => "Token expired",
            Self::IdpCommunicationError => "The identity provider could not be reached",
            Self::IdpRejectedClaim => "The identity provider rejected the claim",
            Self::IncompleteSignature => "The request signature is not whole",
            Self::InternalFailure => "The request failed because of an internal error",
            Self::InvalidAction => "Could not find the operation",
            Self::InvalidClientTokenId => "The security token included in the request is invalid",
            Self::InvalidIdentityToken => "The ID Token provided is not a valid JWT",
            Self::MalformedPolicyDocument => "The policy is not in the valid JSON format",
            Self::MissingAuthenticationToken => "Request is missing Authentication Token",
            Self::NoSuchVersion => "The requested version does not exist",
            Self::PackedPolicyTooLarge => "The packed policies and tags are too large",
            Self::RegionDisabledException => "STS is not activated in this region",
            Self::RequestExpired => "Request has expired",
            Self::RequestLimitExceeded => "Request limit exceeded",
            Self::ServiceUnavailable => "Service is unavailable",
            Self::SignatureDoesNotMatch => "The request signature does not match",
            Self::Throttling | Self::ThrottlingException => "Rate exceeded",
            Self::ValidationError => "The input fails to satisfy the constraints",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, code.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_status_that_clients_see() {
        for (name, status) in [
            ("AccessDenied", 403),
            ("ValidationError", 400),
            ("MalformedPolicyDocument", 400),
            ("PackedPolicyTooLarge", 400),
            ("Throttling", 400),
            ("ThrottlingException", 400),
            ("ExpiredToken", 403),
            ("ExpiredTokenException", 400),
            ("InvalidClientTokenId", 403),
            ("SignatureDoesNotMatch", 403),
            ("RequestExpired", 403),
            ("InvalidIdentityToken", 400),
            ("IDPCommunicationError", 400),
            ("IDPRejectedClaim", 403),
            ("RegionDisabledException", 403),
            ("InternalFailure", 500),
            ("ServiceUnavailable", 503),
        ] {
            let code: Code = serde_json::from_value(name.into()).unwrap();
            assert_eq!(code.name(), name);
            assert_eq!(code.status().as_u16(), status, "{name}");
        }
    }

    #[test]
    fn an_unknown_code_is_refused() {
        assert!(serde_json::from_value::<Code>("AccessDenyed".into()).is_err());
    }
}
