//! What is counted of what the API server tells.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::failure::Reason;

/// The kinds of objects that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The pods of this node.
    Pods,
    /// All namespaces.
    Namespaces,
    /// All ServiceAccounts.
    ServiceAccounts,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pods, Self::Namespaces, Self::ServiceAccounts];

    /// The word in labels and logs, which is also what the API calls them.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Namespaces => "namespaces",
            Self::ServiceAccounts => "serviceaccounts",
        }
    }

    /// One of them.
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Pods => "the pod",
            Self::Namespaces => "the namespace",
            Self::ServiceAccounts => "the ServiceAccount",
        }
    }
}

/// How a direct look-up ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupOutcome {
    /// With a pod.
    Found,
    /// There is no such pod on this node.
    Absent,
    /// Without an answer.
    Failed,
}

impl LookupOutcome {
    const ALL: [Self; 3] = [Self::Found, Self::Absent, Self::Failed];

    /// The word in the label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// How many objects are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) pods: usize,
    pub(super) namespaces: usize,
    pub(super) service_accounts: usize,
}

macro_rules! label {
    ($($word:ty),*) => {$(
        impl EncodeLabelValue for $word {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                self.as_str().encode(encoder)
            }
        }
    )*};
}

label!(Kind, LookupOutcome, Reason);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    kind: Kind,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookedUp {
    outcome: LookupOutcome,
}

/// The numbers of the source of pods.
#[derive(Clone, Debug)]
pub struct Metrics {
    pods: Gauge,
    namespaces: Gauge,
    service_accounts: Gauge,
    synced: Family<Of, Gauge>,
    events: Family<Of, Counter>,
    failures: Family<Failed, Counter>,
    invalid: Family<Of, Counter>,
    last_success: Family<Of, Gauge>,
    lookups: Family<LookedUp, Counter>,
    lookup_duration: Histogram,
}

impl Metrics {
    /// Numbers at zero, one for each kind, reason and outcome.
    pub fn new() -> Self {
        let metrics = Self {
            pods: Gauge::default(),
            namespaces: Gauge::default(),
            service_accounts: Gauge::default(),
            synced: Family::default(),
            events: Family::default(),
            failures: Family::default(),
            invalid: Family::default(),
            last_success: Family::default(),
            lookups: Family::default(),
            lookup_duration: Histogram::new([0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8]),
        };
        for kind in Kind::ALL {
            drop(metrics.synced.get_or_create(&Of { kind }));
            drop(metrics.events.get_or_create(&Of { kind }));
            drop(metrics.invalid.get_or_create(&Of { kind }));
            drop(metrics.last_success.get_or_create(&Of { kind }));
            for reason in Reason::ALL {
                drop(metrics.failures.get_or_create(&Failed { kind, reason }));
            }
        }
        for outcome in LookupOutcome::ALL {
            drop(metrics.lookups.get_or_create(&LookedUp { outcome }));
        }
        metrics
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.register_known(registry);
        self.register_watches(registry);
        registry.register(
            "lookups",
            "Pods that were asked for at the API server because a request could not wait, by how that ended",
            self.lookups.clone(),
        );
        registry.register_with_unit(
            "lookup_duration",
            "How long it took to ask the API server for a pod",
            Unit::Seconds,
            self.lookup_duration.clone(),
        );
    }

    fn register_known(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            ("pods", "Pods of this node that are known", &self.pods),
            (
                "namespaces",
                "Namespaces of the cluster that are known",
                &self.namespaces,
            ),
            (
                "service_accounts",
                "ServiceAccounts of the cluster that are known",
                &self.service_accounts,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_watches(&self, registry: &mut Registry) {
        registry.register(
            "watch_synced",
            "Whether all objects of a kind were listed once",
            self.synced.clone(),
        );
        registry.register(
            "watch_events",
            "What the API server told of objects, listed ones included",
            self.events.clone(),
        );
        registry.register(
            "watch_failures",
            "When the API server did not tell, by reason",
            self.failures.clone(),
        );
        registry.register(
            "watch_invalid_objects",
            "Objects that could not be understood, each time they came",
            self.invalid.clone(),
        );
        registry.register_with_unit(
            "watch_last_success_timestamp",
            "When the API server last told anything, since the epoch; 0 before the first time",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    /// So much is known.
    pub(super) fn known(&self, counts: Counts) {
        self.pods.set(gauge(counts.pods));
        self.namespaces.set(gauge(counts.namespaces));
        self.service_accounts.set(gauge(counts.service_accounts));
    }

    /// All objects of this kind are known.
    pub(super) fn synced(&self, kind: Kind) {
        self.synced.get_or_create(&Of { kind }).set(1);
    }

    /// The API server told of an object.
    pub(super) fn event(&self, kind: Kind) {
        self.events.get_or_create(&Of { kind }).inc();
    }

    /// The API server told something, be it that nothing happened.
    pub(super) fn told(&self, kind: Kind, now: Timestamp) {
        let last = self.last_success.get_or_create(&Of { kind });
        last.set(now.as_second());
    }

    /// The API server did not tell.
    pub(super) fn failed(&self, kind: Kind, reason: Reason) {
        self.failures.get_or_create(&Failed { kind, reason }).inc();
        if reason == Reason::Unreadable {
            self.invalid(kind);
        }
    }

    /// An object could not be understood.
    pub(super) fn invalid(&self, kind: Kind) {
        self.invalid.get_or_create(&Of { kind }).inc();
    }

    /// The API server was asked for a pod.
    pub(super) fn looked_up(&self, outcome: LookupOutcome, took: Duration) {
        self.lookups.get_or_create(&LookedUp { outcome }).inc();
        self.lookup_duration.observe(took.as_secs_f64());
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
