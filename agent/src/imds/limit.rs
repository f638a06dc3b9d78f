//! How many connections there may be at a time: in all, and of one pod, so that no pod can keep the
//! others from their credentials.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::gauge::Gauge;

use crate::id::PodUid;

/// The largest numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// In all.
    pub(super) all: i64,
    /// Of one pod.
    pub(super) pod: usize,
}

impl Limits {
    /// The same, but in all not more than half of the files that we may have open: the other half is for us.
    pub(super) fn within(self, files: Option<u64>) -> Self {
        let half = files.and_then(|files| i64::try_from(files / 2).ok());
        Self {
            all: half.map_or(self.all, |half| self.all.min(half)),
            ..self
        }
    }
}

/// Counts connections.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    /// How many there are in all: a metric as well.
    all: Gauge,
    pods: Mutex<HashMap<PodUid, usize>>,
}

impl Gate {
    /// A gate that counts in `all`.
    pub(super) fn new(limits: Limits, all: Gauge) -> Arc<Self> {
        Arc::new(Self {
            limits,
            all,
            pods: Mutex::default(),
        })
    }

    /// Lets one more connection in, as long as there is room.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Entered> {
        // Whoever finds no room has counted itself for a moment: some others may be refused too early.
        let entered = Entered(Arc::clone(self));
        (self.all.inc() < self.limits.all).then_some(entered)
    }

    /// Counts the connection to `pod`, as long as there is room.
    pub(super) fn enter_pod(&self, pod: PodUid) -> Option<EnteredPod<'_>> {
        let mut pods = self.pods();
        let open = pods.entry(pod).or_default();
        let room = *open < self.limits.pod;
        *open += usize::from(room);
        drop(pods);
        room.then(|| EnteredPod { gate: self, pod })
    }

    fn leave_pod(&self, pod: PodUid) {
        if let Entry::Occupied(mut open) = self.pods().entry(pod) {
            *open.get_mut() -= 1;
            if *open.get() == 0 {
                open.remove();
            }
        }
    }

    fn pods(&self) -> MutexGuard<'_, HashMap<PodUid, usize>> {
        // Nothing panics while it is held, and every change leaves a whole map.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is counted. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct Entered(Arc<Gate>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.all.dec();
    }
}

/// A connection that is counted to its pod. Dropping it is leaving.
#[derive(Debug)]
pub(super) struct EnteredPod<'a> {
    gate: &'a Gate,
    pod: PodUid,
}

impl Drop for EnteredPod<'_> {
    fn drop(&mut self) {
        self.gate.leave_pod(self.pod);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(digit: char) -> PodUid {
        digit.to_string().repeat(32).parse().unwrap()
    }

    #[test]
    fn connections_take_at_most_half_of_the_files() {
        let limits = Limits { all: 100, pod: 9 };
        for (files, all) in [(None, 100), (Some(1 << 20), 100), (Some(64), 32)] {
            assert_eq!(limits.within(files).all, all);
        }
    }

    #[test]
    fn there_is_room_again_when_somebody_left() {
        let gate = Gate::new(Limits { all: 2, pod: 2 }, Gauge::default());
        let first = gate.enter().unwrap();
        let _second = gate.enter().unwrap();
        assert!(gate.enter().is_none());
        assert!(gate.enter().is_none(), "being refused takes no room");
        drop(first);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn a_pod_that_is_full_leaves_the_others_room() {
        let gate = Gate::new(Limits { all: 9, pod: 1 }, Gauge::default());
        let first = gate.enter_pod(pod('a')).unwrap();
        assert!(gate.enter_pod(pod('a')).is_none());
        assert!(gate.enter_pod(pod('b')).is_some());
        drop(first);
        assert!(gate.enter_pod(pod('a')).is_some());
    }

    #[test]
    fn nothing_is_kept_about_pods_without_connections() {
        let gate = Gate::new(Limits { all: 9, pod: 9 }, Gauge::default());
        drop((gate.enter_pod(pod('a')), gate.enter_pod(pod('a'))));
        assert!(gate.pods.lock().unwrap().is_empty());
    }
}
