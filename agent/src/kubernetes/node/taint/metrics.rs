//! What became of looks at the startup taint.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Failure, Look};

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// There was no such taint.
    Clean,
    /// It was taken away.
    Removed,
    /// The API server did not do it, or did not answer.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Clean, Self::Removed, Self::Failed];

    pub(super) const fn of(looked: &Result<Look, Failure>) -> Self {
        match looked {
            Ok(Look::Clean) => Self::Clean,
            Ok(Look::Removed) => Self::Removed,
            Err(_) => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Removed => "removed",
            Self::Failed => "failed",
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: Outcome,
}

/// The counters.
#[derive(Clone, Debug)]
pub struct Metrics(Family<Labels, Counter>);

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Self {
        let looks = Family::default();
        for outcome in Outcome::ALL {
            drop(looks.get_or_create(&Labels { outcome }));
        }
        Self(looks)
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "startup_taint_looks",
            "Looks at this node for its startup taint, by what became of them",
            self.0.clone(),
        );
    }

    pub(super) fn looked(&self, outcome: Outcome) {
        self.0.get_or_create(&Labels { outcome }).inc();
    }

    #[cfg(test)]
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        self.0.get_or_create(&Labels { outcome }).get()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
