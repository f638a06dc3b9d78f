//! What becomes of an error of STS, by its code.

/// Who can do something about it, and when it may be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody has to change something at AWS. STS will see that when it is asked again.
    Denied,
    /// We ask too often.
    Throttled,
    /// The request is wrong in itself, and will be whenever it is sent.
    Invalid,
    /// It is about the keys that we sign with, or about our clock.
    OurKeys,
    /// STS, or somebody behind it, has a bad moment.
    Unavailable,
}

impl Kind {
    /// spec: STS's API reference, the common errors of AWS's query services, and what botocore retries.
    pub(super) fn of(code: &str, status: u16) -> Self {
        match code {
            "AccessDenied"
            | "AccessDeniedException"
            | "IDPRejectedClaim"
            | "InvalidIdentityToken"
            | "RegionDisabledException" => Self::Denied,
            "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequests"
            | "TooManyRequestsException" => Self::Throttled,
            "MalformedPolicyDocument" | "PackedPolicyTooLarge" | "ValidationError" => Self::Invalid,
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
            | "UnrecognizedClientException" => Self::OurKeys,
            "IDPCommunicationError"
            | "InternalFailure"
            | "RequestTimeout"
            | "ServiceUnavailable" => Self::Unavailable,
            _ => Self::of_status(status),
        }
    }

    /// For codes that are not known.
    const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Throttled,
            400..=499 => Self::Denied,
            _ => Self::Unavailable,
        }
    }
}
