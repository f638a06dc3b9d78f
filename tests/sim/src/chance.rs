//! What is left to chance: the same for the same seed.

use std::time::Duration;

use bpf2iam::creds::schedule::Jitter;
use rand::{RngExt as _, SeedableRng as _, rngs::SmallRng};

/// Where it comes from.
#[derive(Debug)]
pub(crate) struct Chance(SmallRng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// As the agent has it.
    pub(crate) fn jitter(&mut self) -> Jitter {
        Jitter::new(self.0.random())
    }

    /// Any moment in the span.
    pub(crate) fn between(&mut self, from: Duration, to: Duration) -> Duration {
        self.jitter().between(from, to)
    }

    /// One of so many.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        self.0.random_range(0..count)
    }

    /// How long until the next of what comes at `rate` a second, each by itself.
    pub(crate) fn pause(&mut self, rate: f64) -> Duration {
        let part: f64 = self.0.random();
        Duration::try_from_secs_f64(-(1.0 - part).ln() / rate).unwrap_or(Duration::MAX)
    }
}
