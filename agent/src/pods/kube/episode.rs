//! When the API server fails us: how soon to ask again, and what is said of it.
//!
//! Each reason is said once until everything works again, which is said too. All of them are counted.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Failure, Reason};

/// The first question after a failure comes within this time, each further one within twice as much, ...
const SOON: Duration = Duration::from_millis(500);

/// ... up to this.
const LATE: Duration = Duration::from_secs(30);

/// No question comes sooner than this part of the time that it may take.
const LEAST: f64 = 0.3;

/// What we do not get meanwhile.
#[derive(Debug)]
pub(super) struct Episode {
    of: &'static str,
    resource: &'static str,
    verbs: &'static str,
    failures: u32,
    last: Option<Reason>,
    said: Vec<Reason>,
    since: Option<Instant>,
    /// Whether it ever worked, so that there is something to go on with.
    worked: bool,
}

impl Episode {
    /// None yet, of what needs these verbs on this resource.
    pub(super) const fn new(of: &'static str, verbs: &'static str, resource: &'static str) -> Self {
        Self {
            of,
            resource,
            verbs,
            failures: 0,
            last: None,
            said: Vec::new(),
            since: None,
            worked: false,
        }
    }

    /// How often it failed in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, failure: &Failure) {
        let reason = failure.reason();
        // A server that has forgotten where we were, is there again.
        let is_there = reason.forgets() && self.last.is_some_and(|last| !last.forgets());
        self.failures = if is_there {
            1
        } else {
            self.failures.saturating_add(1)
        };
        self.last = Some(reason);
        self.since.get_or_insert_with(Instant::now);
        if self.said.contains(&reason) {
            tracing::debug!(of = self.of, reason = reason.as_str(), error = %failure, "again");
            return;
        }
        self.said.push(reason);
        let (of, error) = (self.of, failure);
        match reason {
            // It happens in the best of clusters.
            Reason::Expired => tracing::debug!(of, %error, "the API server is asked for all again"),
            Reason::Forbidden => tracing::warn!(
                of,
                reason = reason.as_str(),
                "the API server does not let us: {error}. The ClusterRole bpf2iam has to allow {} of {}, as the \
                 one in deploy/manifests/1-rbac.yaml does, and has to be bound to the agent's ServiceAccount",
                self.verbs,
                self.resource,
            ),
            Reason::Unauthorized => tracing::warn!(
                of,
                reason = reason.as_str(),
                "the API server does not know us: {error}. The token that the agent shows has expired, or is of \
                 another cluster"
            ),
            Reason::Unreachable
            | Reason::TimedOut
            | Reason::Throttled
            | Reason::Server
            | Reason::Refused
            | Reason::Closed
            | Reason::Disordered
            | Reason::Unreadable => tracing::warn!(
                of,
                reason = reason.as_str(),
                "the API server does not tell: {}. {}",
                error.to_string().trim_end_matches('.'),
                self.meanwhile(),
            ),
        }
    }

    /// What becomes of the pods.
    const fn meanwhile(&self) -> &'static str {
        if self.worked {
            "What is known stays in use"
        } else {
            "Nothing is known yet, and until then pods get no credentials"
        }
    }

    /// How long to wait before it is tried again, for a number from 0 to 1.
    pub(super) fn pause(&self, wish_seconds: u32, jitter: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.saturating_sub(1));
        let most = SOON.saturating_mul(doubled).min(LATE);
        let pause = most.mul_f64(LEAST + (1.0 - LEAST) * jitter.clamp(0.0, 1.0));
        pause.max(Duration::from_secs(wish_seconds.into()).min(LATE))
    }

    /// It works (again).
    pub(super) fn over(&mut self) {
        self.worked = true;
        let Some(since) = self.since.take() else {
            return;
        };
        if self.said.iter().any(|reason| *reason != Reason::Expired) {
            tracing::info!(
                of = self.of,
                failures = self.failures,
                seconds = since.elapsed().as_secs(),
                "the API server tells again"
            );
        }
        self.failures = 0;
        self.last = None;
        self.said.clear();
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use crate::pods::kube::testing::Logged;

    use super::*;

    fn failures(count: u32) -> Episode {
        let mut episode = Episode::new("pods", "list and watch", "pods");
        for _ in 0..count {
            episode.failed(&Failure::TimedOut);
        }
        episode
    }

    #[test]
    fn the_first_retry_is_soon_and_no_later_one_is_late() {
        for (count, least, most) in [
            (1, 150, 500),
            (2, 300, 1000),
            (3, 600, 2000),
            (7, 9_000, 30_000),
            (1000, 9_000, 30_000),
        ] {
            let episode = failures(count);
            for (jitter, expected) in [(0.0, least), (1.0, most), (7.0, most)] {
                let pause = episode.pause(0, jitter).as_millis();
                assert!(pause.abs_diff(expected) <= 1, "{count} {jitter}: {pause}");
            }
        }
    }

    #[test]
    fn the_servers_wish_counts_within_reason() {
        for (wish, seconds) in [(1, 1), (20, 20), (3600, 30)] {
            assert_eq!(failures(1).pause(wish, 0.5), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_server_that_is_there_again_is_asked_for_all_soon() {
        let mut episode = failures(9);
        episode.failed(&Failure::Disordered);
        assert!(episode.pause(0, 1.0) <= SOON);
        for _ in 0..6 {
            episode.failed(&Failure::Disordered);
        }
        assert!(episode.pause(0, 1.0) > SOON * 20, "not again and again");
    }

    #[test]
    fn what_becomes_of_the_pods_is_said_as_it_is() {
        let (logged, _listens) = Logged::listen();
        let mut episode = failures(1);
        episode.over();
        let status = Status::failure("slow down.", "TooManyRequests").with_code(429);
        episode.failed(&Failure::Refused(Box::new(status)));
        let said = logged.lines("does not tell");
        let [at_first, then] = &said[..] else {
            panic!("{said:?}");
        };
        assert!(
            at_first.contains("in time. Nothing is known yet"),
            "{at_first}"
        );
        assert!(
            then.contains("slow down. What is known stays in use"),
            "{then}"
        );
    }

    #[test]
    fn what_works_again_begins_anew() {
        let mut episode = failures(9);
        episode.over();
        assert_eq!(episode.failures(), 0);
        episode.failed(&Failure::Closed);
        assert!(episode.pause(0, 1.0) <= SOON);
    }
}
