//! How many Events there may be, for a pod and in all.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::id::PodUid;

/// For one pod: so many at once, and one more after each such time.
const POD: Rate = Rate {
    burst: 6,
    every: Duration::from_mins(2),
};

/// For all pods of the node. A node has 110 pods, unless told otherwise, and an API server some thousand nodes.
const ALL: Rate = Rate {
    burst: 120,
    every: Duration::from_secs(2),
};

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// Keeps the rates.
#[derive(Debug, Default)]
pub(super) struct Limit {
    all: Spent,
    pods: HashMap<PodUid, Spent>,
}

/// When all that was spent will have come back. (A bucket that leaks, as one moment in time.)
#[derive(Clone, Copy, Debug, Default)]
struct Spent(Option<Instant>);

impl Limit {
    /// Whether there may be one more about this pod now. If so it counts.
    pub(super) fn allows(&mut self, uid: PodUid, now: Instant) -> bool {
        // Those that have come back wholly are as if they had never been: so this is as small as the rate for all.
        self.pods
            .retain(|_, spent| spent.debt(now) > Duration::ZERO);
        let pod = self.pods.get(&uid).copied().unwrap_or_default();
        let (Some(pod), Some(all)) = (pod.one_more(POD, now), self.all.one_more(ALL, now)) else {
            return false;
        };
        self.pods.insert(uid, pod);
        self.all = all;
        true
    }
}

impl Spent {
    fn debt(self, now: Instant) -> Duration {
        self.0
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn one_more(self, rate: Rate, now: Instant) -> Option<Self> {
        let debt = self.debt(now) + rate.every;
        (debt <= rate.every * rate.burst).then(|| Self(Some(now + debt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(pod: u32) -> PodUid {
        format!("00000000-0000-0000-0000-{pod:012x}")
            .parse()
            .unwrap()
    }

    #[test]
    fn a_pod_has_a_few_at_once_and_then_one_every_two_minutes() {
        let (start, mut limit) = (Instant::now(), Limit::default());
        let mut allowed = |seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..10).filter(|_| limit.allows(uid(1), now)).count()
        };
        let seconds = [0, 1, 119, 120, 240, 479, 480, 10_000];
        assert_eq!(seconds.map(&mut allowed), [6, 0, 0, 1, 1, 1, 1, 6]);
    }

    #[test]
    fn many_pods_share_what_there_is_for_all_and_are_forgotten() {
        let (start, mut limit) = (Instant::now(), Limit::default());
        let allowed = (0..1000)
            .filter(|pod| limit.allows(uid(*pod), start))
            .count();
        assert_eq!(allowed, 120);
        assert_eq!(limit.pods.len(), 120);
        let later = start + Duration::from_mins(2);
        assert!(limit.allows(uid(5000), later));
        assert_eq!(limit.pods.len(), 1);
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let (now, mut limit) = (Instant::now(), Limit::default());
        assert_eq!((0..1000).filter(|_| limit.allows(uid(1), now)).count(), 6);
        assert_eq!(
            (0..1000)
                .filter(|pod| limit.allows(uid(*pod + 2), now))
                .count(),
            114
        );
    }
}
