//! What is counted of the real metadata service. Labels are of few values: never a path.

use std::{fmt, time::Duration};

use hyper::{Response, StatusCode};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::http::Failure;

/// Seconds: from what the service needs to the longest that we wait.
const BUCKETS: [f64; 10] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0,
];

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// A token of our own.
    Token,
    /// Something that pods may read.
    Read,
    /// The request of a pod that has the node's identity.
    Pass,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// With what was asked for.
    Success,
    /// There is no such thing.
    Absent,
    /// With another status.
    Refused,
    /// Nobody was there.
    Unreachable,
    /// Nobody answered in time.
    TimedOut,
    /// With something that cannot be used.
    Broken,
}

/// Where what was read came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Origin {
    /// Memory, where it was good.
    Memory,
    /// The service.
    Service,
    /// Memory, where it was old: the service could not be asked.
    Stale,
    /// Nowhere.
    Nothing,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::Token, Self::Read, Self::Pass];
}

impl Outcome {
    const ALL: [Self; 6] = [
        Self::Success,
        Self::Absent,
        Self::Refused,
        Self::Unreachable,
        Self::TimedOut,
        Self::Broken,
    ];

    pub(super) fn of<T>(answer: &Result<Response<T>, Failure>) -> Self {
        match answer {
            Ok(answer) => match answer.status() {
                StatusCode::NOT_FOUND => Self::Absent,
                status if status.is_success() => Self::Success,
                _ => Self::Refused,
            },
            Err(Failure::Connect(_)) => Self::Unreachable,
            Err(Failure::Timeout { .. }) => Self::TimedOut,
            Err(Failure::Status { .. }) => Self::Refused,
            Err(
                Failure::Exchange { .. } | Failure::Size { .. } | Failure::Busy | Failure::Lost,
            ) => Self::Broken,
        }
    }
}

impl Origin {
    const ALL: [Self; 4] = [Self::Memory, Self::Service, Self::Stale, Self::Nothing];
}

impl EncodeLabelValue for Purpose {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let word = match self {
            Self::Token => "token",
            Self::Read => "read",
            Self::Pass => "pass",
        };
        word.encode(encoder)
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let word = match self {
            Self::Success => "success",
            Self::Absent => "absent",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        };
        word.encode(encoder)
    }
}

impl EncodeLabelValue for Origin {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let word = match self {
            Self::Memory => "memory",
            Self::Service => "service",
            Self::Stale => "stale",
            Self::Nothing => "nothing",
        };
        word.encode(encoder)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    purpose: Purpose,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Read {
    origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Turned {
    purpose: Purpose,
}

/// The numbers of this part.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Request, Counter>,
    duration: Histogram,
    reads: Family<Read, Counter>,
    turned_away: Family<Turned, Counter>,
    last_success: Gauge,
}

impl Metrics {
    /// Numbers at zero.
    pub fn new() -> Self {
        let (requests, reads, turned_away) =
            (Family::default(), Family::default(), Family::default());
        for purpose in Purpose::ALL {
            for outcome in Outcome::ALL {
                drop(requests.get_or_create(&Request { purpose, outcome }));
            }
        }
        for origin in Origin::ALL {
            drop(reads.get_or_create(&Read { origin }));
        }
        for purpose in [Purpose::Read, Purpose::Pass] {
            drop(turned_away.get_or_create(&Turned { purpose }));
        }
        Self {
            requests,
            duration: Histogram::new(BUCKETS),
            reads,
            turned_away,
            last_success: Gauge::default(),
        }
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "upstream_requests",
            "Requests to the real metadata service, by what they were for and how they ended",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "upstream_request_duration",
            "How long a request to the real metadata service took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "upstream_reads",
            "Values of the real metadata service that pods asked for, by where they came from",
            self.reads.clone(),
        );
        registry.register(
            "upstream_turned_away",
            "Requests that did not reach the real metadata service, because too many were under way",
            self.turned_away.clone(),
        );
        registry.register_with_unit(
            "upstream_last_success_timestamp",
            "When the real metadata service last gave what it was asked for, since the epoch; 0 before the first time",
            Unit::Seconds,
            self.last_success.clone(),
        );
    }

    pub(super) fn asked(&self, purpose: Purpose, outcome: Outcome, took: Duration, now: Timestamp) {
        let labels = Request { purpose, outcome };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
        if matches!(outcome, Outcome::Success | Outcome::Absent) {
            self.last_success.set(now.as_second());
        }
    }

    pub(super) fn read(&self, origin: Origin) {
        self.reads.get_or_create(&Read { origin }).inc();
    }

    pub(super) fn turned_away(&self, purpose: Purpose) {
        self.turned_away.get_or_create(&Turned { purpose }).inc();
    }

    /// How many requests ended so.
    #[cfg(test)]
    pub(super) fn requests(&self, purpose: Purpose, outcome: Outcome) -> u64 {
        let labels = Request { purpose, outcome };
        self.requests.get_or_create(&labels).get()
    }

    /// How many were turned away.
    #[cfg(test)]
    pub(super) fn turned(&self, purpose: Purpose) -> u64 {
        self.turned_away.get_or_create(&Turned { purpose }).get()
    }

    /// How many values came from there.
    #[cfg(test)]
    pub(super) fn reads(&self, origin: Origin) -> u64 {
        self.reads.get_or_create(&Read { origin }).get()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn the_page_tells_what_was_asked_and_what_was_old() {
        let mut registry = Registry::with_prefix("bpf2iam");
        let metrics = Metrics::new();
        metrics.register(&mut registry);
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let took = Duration::from_millis(2);
        metrics.asked(Purpose::Token, Outcome::Success, took, now);
        let later = now + Duration::from_secs(9);
        metrics.asked(Purpose::Read, Outcome::TimedOut, took, later);
        metrics.read(Origin::Stale);
        metrics.turned_away(Purpose::Pass);

        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        for line in [
            r#"bpf2iam_upstream_requests_total{purpose="token",outcome="success"} 1"#,
            r#"bpf2iam_upstream_requests_total{purpose="read",outcome="timed_out"} 1"#,
            r#"bpf2iam_upstream_requests_total{purpose="pass",outcome="unreachable"} 0"#,
            r#"bpf2iam_upstream_request_duration_seconds_bucket{le="0.0025"} 2"#,
            r#"bpf2iam_upstream_reads_total{origin="stale"} 1"#,
            r#"bpf2iam_upstream_reads_total{origin="memory"} 0"#,
            r#"bpf2iam_upstream_turned_away_total{purpose="pass"} 1"#,
            "bpf2iam_upstream_last_success_timestamp_seconds 1767225600",
        ] {
            assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
        }
    }
}
