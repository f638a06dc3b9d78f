//! What the metadata service counts. Labels are of few values: never a pod, a role or a path.

use std::{fmt, sync::OnceLock, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{breakage::Breakage, outcome::Outcome, response::Status, route::Kind};

/// Seconds: from what memory gives at once to the longest that a request waits.
const BUCKETS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// The numbers of this part.
#[derive(Debug)]
pub struct Metrics {
    requests: Family<Request, Counter>,
    /// The children of `requests`, looked up once.
    children: [[OnceLock<Counter>; Status::COUNT]; Kind::COUNT],
    refusals: Family<Refusal, Counter>,
    duration: Histogram,
    tokens: Counter,
    refused_connections: Family<RefusedConnection, Counter>,
    broken_connections: Family<BrokenConnection, Counter>,
    /// Connections that are open.
    pub(super) open: Gauge,
    /// Times when the system gave us no connection.
    pub(super) accept_errors: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: Kind,
    status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refusal {
    reason: Outcome,
}

/// The words are those of `attest::Refusal::reason` and of our own limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedConnection {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BrokenConnection {
    reason: Breakage,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Numbers at zero.
    pub fn new() -> Self {
        Self {
            requests: Family::default(),
            children: Default::default(),
            refusals: Family::default(),
            duration: Histogram::new(BUCKETS),
            tokens: Counter::default(),
            refused_connections: Family::default(),
            broken_connections: Family::default(),
            open: Gauge::default(),
            accept_errors: Counter::default(),
        }
    }

    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        self.register_requests(registry);
        self.register_connections(registry);
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register(
            "imds_requests",
            "Requests of pods, by what they ask for and the status they got",
            self.requests.clone(),
        );
        registry.register(
            "imds_refusals",
            "Requests that did not get what they asked for, by reason",
            self.refusals.clone(),
        );
        registry.register_with_unit(
            "imds_request_duration",
            "From the head of a request to its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "imds_tokens_issued",
            "Session tokens given to pods; those refused are among the refusals",
            self.tokens.clone(),
        );
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register(
            "imds_refused_connections",
            "Connections closed without an answer, by reason",
            self.refused_connections.clone(),
        );
        registry.register(
            "imds_broken_connections",
            "Connections that ended without a whole request, or before its answer was taken, by reason",
            self.broken_connections.clone(),
        );
        registry.register(
            "imds_open_connections",
            "Connections that are open",
            self.open.clone(),
        );
        registry.register(
            "imds_accept_errors",
            "Times when the system gave us no connection",
            self.accept_errors.clone(),
        );
    }

    /// A request about `route` was answered after `elapsed`.
    pub(super) fn answered(
        &self,
        route: Kind,
        status: Status,
        outcome: Outcome,
        elapsed: Duration,
    ) {
        self.children[route as usize][status as usize]
            .get_or_init(|| {
                self.requests
                    .get_or_create_owned(&Request { route, status })
            })
            .inc();
        self.duration.observe(elapsed.as_secs_f64());
        if !matches!(outcome, Outcome::Served | Outcome::Passed) {
            let reason = outcome;
            self.refusals.get_or_create(&Refusal { reason }).inc();
        } else if route == Kind::Token {
            self.tokens.inc();
        }
    }

    /// A connection was closed without an answer.
    pub(super) fn refused_connection(&self, reason: &'static str) {
        self.refused_connections
            .get_or_create(&RefusedConnection { reason })
            .inc();
    }

    /// A connection broke.
    pub(super) fn broken_connection(&self, reason: Breakage) {
        self.broken_connections
            .get_or_create(&BrokenConnection { reason })
            .inc();
    }
}

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl EncodeLabelValue for Breakage {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.label().encode(encoder)
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        self.as_str().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn the_page_has_a_line_for_what_happened_and_none_for_what_did_not() {
        let mut registry = Registry::with_prefix("bpf2iam");
        let metrics = Metrics::new();
        metrics.register(&mut registry);
        let elapsed = Duration::from_micros(200);
        metrics.answered(Kind::Token, Status::Ok, Outcome::Served, elapsed);
        metrics.answered(Kind::RoleList, Status::NotFound, Outcome::NoRole, elapsed);
        metrics.answered(Kind::RoleList, Status::NotFound, Outcome::NoRole, elapsed);
        metrics.answered(Kind::IamInfo, Status::Ok, Outcome::Served, elapsed);
        metrics.refused_connection("no_record");
        metrics.broken_connection(Breakage::Malformed);

        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        for line in [
            r#"bpf2iam_imds_requests_total{route="token",status="200"} 1"#,
            r#"bpf2iam_imds_requests_total{route="role_list",status="404"} 2"#,
            r#"bpf2iam_imds_refusals_total{reason="no_role"} 2"#,
            r#"bpf2iam_imds_request_duration_seconds_bucket{le="0.0001"} 0"#,
            r#"bpf2iam_imds_request_duration_seconds_bucket{le="0.00025"} 4"#,
            "bpf2iam_imds_tokens_issued_total 1",
            r#"bpf2iam_imds_refused_connections_total{reason="no_record"} 1"#,
            r#"bpf2iam_imds_broken_connections_total{reason="malformed"} 1"#,
            "bpf2iam_imds_open_connections 0",
            "bpf2iam_imds_accept_errors_total 0",
        ] {
            assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
        }
        assert_eq!(page.matches("imds_requests_total{").count(), 3, "{page}");
    }
}
