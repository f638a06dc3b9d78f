//! What the source of pods counts.

use jiff::Timestamp;
use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};

/// The numbers of the loop that keeps the index.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    known: Gauge,
    errors: Gauge,
    last_success: Gauge,
}

impl Metrics {
    /// Numbers at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "pods",
            "Pods of this node that are known",
            self.known.clone(),
        );
        registry.register(
            "manifest_errors",
            "Manifests that are wrong and do not count, as they are now",
            self.errors.clone(),
        );
        registry.register_with_unit(
            "pods_last_success_timestamp",
            "When the pods were last read, since the epoch; 0 before the first time",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    /// The pods were read at `now`.
    pub(super) fn read(&self, known: usize, errors: usize, now: Timestamp) {
        self.known.set(gauge(known));
        self.errors.set(gauge(errors));
        self.last_success.set(now.as_second());
    }

    /// The pods could not be read, and none is known.
    pub(super) fn failed(&self) {
        self.known.set(0);
        self.errors.set(0);
    }
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
