//! What came of it.

use std::time::Duration;

use bpf2iam::creds::{pace::Moment, schedule::Beginning};

use crate::waits::Waits;

/// What is counted.
#[derive(Debug)]
pub(crate) struct Tally {
    /// From a new pod's binding to its keys.
    pub(crate) bound: Waits,
    /// From a new pod's first request to its answer.
    pub(crate) asked_by_new: Waits,
    /// The same of pods that ran before their agents.
    pub(crate) asked_by_running: Waits,
    /// How often keys ended before there were others.
    pub(crate) ended: u32,
    /// The least that keys had left when others came.
    pub(crate) least_left: Duration,
    /// Pods that have come.
    pub(crate) pods: u32,
    /// Pods that ran before their agents, whose keys are not there yet.
    pub(crate) cold: u32,
    /// When that became none.
    pub(crate) warm: Option<Moment>,
}

impl Tally {
    /// Before anything has happened to `cold` pods.
    pub(crate) fn new(cold: u32) -> Self {
        Self {
            bound: Waits::default(),
            asked_by_new: Waits::default(),
            asked_by_running: Waits::default(),
            ended: 0,
            least_left: Duration::MAX,
            pods: 0,
            cold,
            warm: None,
        }
    }

    /// Requests of such pods.
    pub(crate) const fn asked_by(&mut self, beginning: Beginning) -> &mut Waits {
        match beginning {
            Beginning::New => &mut self.asked_by_new,
            Beginning::Running => &mut self.asked_by_running,
        }
    }

    /// One pod fewer that ran before.
    pub(crate) fn warmed(&mut self, now: Moment) {
        self.cold -= 1;
        if self.cold == 0 {
            self.warm = Some(now);
        }
    }
}
