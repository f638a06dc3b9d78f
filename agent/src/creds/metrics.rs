//! What is counted while credentials are fetched. What is held meanwhile is in `holdings`.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{Credentials, SourceError};

/// How an attempt to get credentials ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With keys.
    Success,
    /// [`SourceError::Denied`].
    Denied,
    /// [`SourceError::Throttled`].
    Throttled,
    /// [`SourceError::Invalid`].
    Invalid,
    /// [`SourceError::Unavailable`].
    Unavailable,
    /// [`SourceError::NoToken`].
    NoToken,
    /// With a panic: a fault of ours.
    Panicked,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Success,
        Self::Denied,
        Self::Throttled,
        Self::Invalid,
        Self::Unavailable,
        Self::NoToken,
        Self::Panicked,
    ];

    /// The word in the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::NoToken => "no_token",
            Self::Panicked => "panicked",
        }
    }
}

impl From<&Result<Credentials, SourceError>> for Outcome {
    fn from(answer: &Result<Credentials, SourceError>) -> Self {
        match answer {
            Ok(_) => Self::Success,
            Err(SourceError::Denied { .. }) => Self::Denied,
            Err(SourceError::Throttled { .. }) => Self::Throttled,
            Err(SourceError::Invalid { .. }) => Self::Invalid,
            Err(SourceError::Unavailable { .. }) => Self::Unavailable,
            Err(SourceError::NoToken { .. }) => Self::NoToken,
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchLabels {
    outcome: Outcome,
}

/// The counters of the loop that fetches.
#[derive(Clone, Debug)]
pub struct Metrics {
    fetches: Family<FetchLabels, Counter>,
    duration: Histogram,
    last_success: Gauge,
    crashes: Counter,
}

impl Metrics {
    /// Counters at zero, one for each outcome.
    pub fn new() -> Self {
        let fetches = Family::default();
        for outcome in Outcome::ALL {
            drop(fetches.get_or_create(&FetchLabels { outcome }));
        }
        Self {
            fetches,
            duration: Histogram::new([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]),
            last_success: Gauge::default(),
            crashes: Counter::default(),
        }
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "credentials_fetches",
            "Attempts to get credentials, by how they ended",
            self.fetches.clone(),
        );
        registry.register_with_unit(
            "credentials_fetch_duration",
            "How long an attempt to get credentials took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "credentials_last_success_timestamp",
            "When an attempt last gave credentials, since the epoch; 0 before the first",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register(
            "credentials_task_crashes",
            "Tasks of identities that ended by a panic and were started anew",
            self.crashes.clone(),
        );
    }

    pub(super) fn fetched(&self, outcome: Outcome, took: Duration, now: Timestamp) {
        self.fetches.get_or_create(&FetchLabels { outcome }).inc();
        self.duration.observe(took.as_secs_f64());
        if outcome == Outcome::Success {
            self.last_success.set(now.as_second());
        }
    }

    pub(super) fn crashed(&self) {
        self.crashes.inc();
    }

    /// How many attempts ended so.
    #[cfg(test)]
    pub(super) fn fetches(&self, outcome: Outcome) -> u64 {
        self.fetches.get_or_create(&FetchLabels { outcome }).get()
    }

    #[cfg(test)]
    pub(super) fn crashes(&self) -> u64 {
        self.crashes.get()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
