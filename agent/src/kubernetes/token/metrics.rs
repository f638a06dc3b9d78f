//! What is counted while tokens are made.

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::creds::web_identity::TokenError;

/// How a request for a token ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Success,
    Forbidden,
    Gone,
    Refused,
    Unavailable,
}

impl Outcome {
    const ALL: [Self; 5] = [
        Self::Success,
        Self::Forbidden,
        Self::Gone,
        Self::Refused,
        Self::Unavailable,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Forbidden => "forbidden",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

impl<T> From<&Result<T, TokenError>> for Outcome {
    fn from(answer: &Result<T, TokenError>) -> Self {
        match answer {
            Ok(_) => Self::Success,
            Err(TokenError::Forbidden(_)) => Self::Forbidden,
            Err(TokenError::OtherPod(_) | TokenError::NoPod(_)) => Self::Gone,
            Err(TokenError::NoServiceAccount(_) | TokenError::Refused(_)) => Self::Refused,
            Err(TokenError::Unavailable(_) | TokenError::NoSource) => Self::Unavailable,
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

/// The counters of those who ask for tokens.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Labels, Counter>,
    last_success: Gauge,
}

impl Metrics {
    /// Counters at zero, one for each outcome.
    pub fn new() -> Self {
        let requests = Family::default();
        for outcome in Outcome::ALL {
            drop(requests.get_or_create(&Labels { outcome }));
        }
        Self {
            requests,
            last_success: Gauge::default(),
        }
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "service_account_token_requests",
            "Requests to the API server for a token of a pod's ServiceAccount, by how they ended",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "service_account_token_last_success_timestamp",
            "When the API server last made a token, since the epoch; 0 before the first",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    pub(super) fn asked(&self, outcome: Outcome, now: Timestamp) {
        self.requests.get_or_create(&Labels { outcome }).inc();
        if outcome == Outcome::Success {
            self.last_success.set(now.as_second());
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
