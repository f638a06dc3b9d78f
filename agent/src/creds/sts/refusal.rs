//! What an error of STS means, by its code on the wire.

use std::error::Error;

use aws_sdk_sts::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata as _, SdkError},
    operation::assume_role::AssumeRoleError,
};

use crate::id::RoleArn;

use super::super::SourceError;

/// So much of a message is passed on: an encoded authorization failure has thousands of characters.
const LENGTH: usize = 400;

type Failure = SdkError<AssumeRoleError, HttpResponse>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Denied,
    Throttled,
    Invalid,
    /// It is about the keys that we sign with, or about our clock.
    OurKeys,
    Unavailable,
}

/// What went wrong, in our terms and STS's words.
pub(super) fn source_error(failure: &Failure, role: &RoleArn) -> SourceError {
    let role = role.clone();
    let Some((code, message)) = told(failure) else {
        return SourceError::Unavailable {
            role,
            message: untold(failure),
        };
    };
    match kind(code, status(failure)) {
        Kind::Denied => SourceError::Denied { role, message },
        Kind::Throttled => SourceError::Throttled { message },
        Kind::Invalid => SourceError::Invalid {
            role,
            code: code.to_owned(),
            message,
        },
        Kind::OurKeys => SourceError::Unavailable {
            role,
            message: format!("the node's own keys or its clock are wrong: {code}: {message}"),
        },
        Kind::Unavailable => SourceError::Unavailable {
            role,
            message: format!("{code}: {message}"),
        },
    }
}

/// Whether the keys that the call was signed with have ended, and others would do.
pub(super) fn is_of_expired_keys(failure: &Failure) -> bool {
    told(failure).is_some_and(|(code, _)| matches!(code, "ExpiredToken" | "ExpiredTokenException"))
}

/// The code and the message of STS, if it was STS that answered.
fn told(failure: &Failure) -> Option<(&str, String)> {
    let error = failure.as_service_error()?;
    Some((
        error.code()?,
        readable(error.message().unwrap_or("no message")),
    ))
}

/// What there is to say when STS said nothing.
fn untold(failure: &Failure) -> String {
    match status(failure) {
        0 => chain(failure),
        status => format!("HTTP {status}, and not in STS's words: {}", chain(failure)),
    }
}

/// Of the answer; 0 when there is none.
fn status(failure: &Failure) -> u16 {
    failure
        .raw_response()
        .map_or(0, |answer| answer.status().as_u16())
}

/// spec: STS's API reference, the common errors of AWS's query services, and what botocore retries.
fn kind(code: &str, status: u16) -> Kind {
    match code {
        "AccessDenied" | "AccessDeniedException" | "IDPRejectedClaim" => Kind::Denied,
        "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "TooManyRequestsException" => Kind::Throttled,
        "InvalidIdentityToken"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "RegionDisabledException"
        | "ValidationError" => Kind::Invalid,
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "OptInRequired"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::OurKeys,
        "IDPCommunicationError" | "InternalFailure" | "RequestTimeout" | "ServiceUnavailable" => {
            Kind::Unavailable
        }
        _ => kind_of_status(status),
    }
}

/// For codes that are not known.
const fn kind_of_status(status: u16) -> Kind {
    match status {
        403 => Kind::Denied,
        429 => Kind::Throttled,
        400..=499 => Kind::Invalid,
        _ => Kind::Unavailable,
    }
}

/// All causes of an error, each once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    readable(&text)
}

/// The first line, and not all of a long one: what follows in the message about a wrong signature is the
/// signed request, with the session token of the node in it.
fn readable(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut text: String = line.chars().take(LENGTH).collect();
    if text.len() < line.len() {
        text.push_str("...");
    }
    text
}
