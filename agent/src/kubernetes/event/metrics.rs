//! What became of Events.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// The API server took it.
    Sent,
    /// There were too many.
    Dropped,
    /// The API server did not take it.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Sent, Self::Dropped, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Dropped => "dropped",
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
        let events = Family::default();
        for outcome in Outcome::ALL {
            drop(events.get_or_create(&Labels { outcome }));
        }
        Self(events)
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "events",
            "Kubernetes Events about pods, by what became of them",
            self.0.clone(),
        );
    }

    pub(super) fn ended(&self, outcome: Outcome) {
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
