//! What an error of STS means, by its code on the wire, and what to look at where a web identity is refused.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use crate::chain::{chain, one_line};

use super::super::{Identity, SourceError, WebIdentity};

type Failure<E> = SdkError<E, HttpResponse>;

/// What the errors of all calls can do.
pub(super) trait Refusal: ProvideErrorMetadata + Error + 'static {}

impl<E: ProvideErrorMetadata + Error + 'static> Refusal for E {}

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
pub(super) fn source_error(failure: &Failure<impl Refusal>, identity: &Identity) -> SourceError {
    let role = identity.role.clone();
    let Some((code, message)) = told(failure) else {
        return SourceError::Unavailable {
            role,
            message: untold(failure),
        };
    };
    let message = match &identity.web_identity {
        Some(whose) => with_advice(code, message, whose, identity),
        None => message,
    };
    match kind(code, status(failure)) {
        Kind::Denied => SourceError::Denied {
            role,
            code: code.to_owned(),
            message,
        },
        Kind::Throttled => SourceError::Throttled { message },
        Kind::Invalid => SourceError::Invalid {
            role,
            code: code.to_owned(),
            message,
        },
        Kind::OurKeys if identity.web_identity.is_none() => SourceError::Unavailable {
            role,
            message: format!("the node's own keys or its clock are wrong: {code}: {message}"),
        },
        Kind::OurKeys | Kind::Unavailable => SourceError::Unavailable {
            role,
            message: format!("{code}: {message}"),
        },
    }
}

/// STS's words, and after them what to look at: they name neither the pod nor what it showed.
fn with_advice(code: &str, message: String, whose: &WebIdentity, identity: &Identity) -> String {
    match whose.advice(code, &identity.role) {
        Some(advice) => format!("{}; {advice}", message.trim_end_matches('.')),
        None => message,
    }
}

/// Whether the keys that the call was signed with have ended, and others would do.
pub(super) fn is_of_expired_keys(failure: &Failure<impl Refusal>) -> bool {
    told(failure).is_some_and(|(code, _)| matches!(code, "ExpiredToken" | "ExpiredTokenException"))
}

/// Whether another token might be taken: this one has ended, or is of keys or a pod that are not any more.
pub(super) fn is_of_the_token(failure: &Failure<impl Refusal>) -> bool {
    told(failure).is_some_and(|(code, _)| {
        matches!(
            code,
            "ExpiredToken" | "ExpiredTokenException" | "IDPRejectedClaim" | "InvalidIdentityToken"
        )
    })
}

/// The code and the message of STS, if it was STS that answered.
fn told(failure: &Failure<impl Refusal>) -> Option<(&str, String)> {
    let error = failure.as_service_error()?;
    Some((
        error.code()?,
        // What follows the first line in the message about a wrong signature is the signed request, with the session
        // token of the node in it.
        one_line(error.message().unwrap_or("no message")),
    ))
}

/// What there is to say when STS said nothing.
fn untold(failure: &Failure<impl Refusal>) -> String {
    // Else it is the connection or the answer, and neither has the request in it.
    let why = if is_unsent(failure) {
        unsent(failure)
    } else {
        chain(failure)
    };
    match status(failure) {
        0 => why,
        status => format!("HTTP {status}, and not in STS's words: {why}"),
    }
}

fn is_unsent<E>(failure: &Failure<E>) -> bool {
    matches!(failure, SdkError::ConstructionFailure(_))
        || matches!(failure, SdkError::DispatchFailure(why) if why.is_user() || why.is_other())
}

/// Why nothing was sent. The SDK repeats the request there, with the token or the external id in it: of its words only
/// those about the node's keys are passed on.
fn unsent(failure: &Failure<impl Refusal>) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = failure.source();
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return format!(
                "no keys of the node to sign with: {}",
                without_request(error)
            );
        }
        cause = error.source();
    }
    format!("{failure}; is the endpoint of STS right (AWS_ENDPOINT_URL_STS, AWS_REGION)?")
}

/// What an error says, up to a request that it repeats: keys of the node may come from STS, too.
fn without_request(error: &dyn Error) -> String {
    let told = chain(error);
    let before = told.split_once("to request `");
    before.map_or(told.clone(), |(before, _request)| {
        before.trim_end().to_owned()
    })
}

/// Of the answer; 0 when there is none.
fn status<E>(failure: &Failure<E>) -> u16 {
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
