//! A time in which the API server does not do what it is asked. Each reason is said once, and when it is over that is said
//! too.

use std::{mem::Discriminant, time::Duration};

use crate::chain::chain;

use super::ask::Failure;

/// The pause after the first failure is at most this, after each further one twice as much, ...
pub(super) const SOON: Duration = Duration::from_secs(1);
/// ... up to this.
pub(super) const LATE: Duration = Duration::from_mins(1);
/// No pause is shorter than this part of what it may be.
const LEAST: f64 = 0.5;

/// One such time.
pub(super) struct Trouble {
    /// What does not work meanwhile.
    what: &'static str,
    failures: u32,
    said: Vec<Discriminant<Failure>>,
}

impl Trouble {
    /// There is none yet. What would not work is `what`.
    pub(super) const fn new(what: &'static str) -> Self {
        Self {
            what,
            failures: 0,
            said: Vec::new(),
        }
    }

    /// Takes note of a failure; says how long to wait at most.
    pub(super) fn goes_on(&mut self, failure: &Failure) -> Duration {
        let reason = std::mem::discriminant(failure);
        let error = chain(failure);
        if self.said.contains(&reason) {
            tracing::debug!(error, "again");
        } else {
            self.said.push(reason);
            tracing::warn!(error, "{}", self.what);
        }
        let doubled = SOON.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        doubled.min(LATE)
    }

    pub(super) fn is_over(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                failures = self.failures,
                "Kubernetes tells of this node again"
            );
        }
        *self = Self::new(self.what);
    }
}

/// A pause of about this length, so that not all nodes ask at the same time.
pub(super) fn about(pause: Duration) -> Duration {
    pause.mul_f64(LEAST + (1.0 - LEAST) * rand::random::<f64>())
}
