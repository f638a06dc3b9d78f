//! How much may be said of refusals: about a pod, about the pods of a namespace, and in all.
//!
//! Who speaks loudest takes nothing from the others: a pod cannot use up what its namespace has, nor a namespace what the
//! node has. Events and the log have a [`Limit`] each.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::id::{PodRef, PodUid};

/// For one pod: so many at once, and one more after each such time.
const POD: Rate = Rate {
    burst: 6,
    every: Duration::from_mins(2),
};

/// For all pods of a namespace.
const NAMESPACE: Rate = Rate {
    burst: 30,
    every: Duration::from_secs(10),
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
pub(crate) struct Limit {
    all: Spent,
    namespaces: HashMap<Arc<str>, Spent>,
    pods: HashMap<PodUid, Spent>,
}

/// When all that was spent will have come back. (A bucket that leaks, as one moment in time.)
#[derive(Clone, Copy, Debug, Default)]
struct Spent(Option<Instant>);

impl Limit {
    /// Whether there may be one more about this pod now. If so it counts.
    pub(crate) fn allows(&mut self, pod: &PodRef, uid: PodUid, now: Instant) -> bool {
        // Those that have come back wholly are as if they had never been: so these are as small as the rate for all.
        forget(&mut self.pods, now);
        forget(&mut self.namespaces, now);
        let namespace = pod.namespace();
        let of_pod = self.pods.get(&uid).copied().unwrap_or_default();
        let of_namespace = self.namespaces.get(namespace).copied().unwrap_or_default();
        let (Some(of_pod), Some(of_namespace), Some(all)) = (
            of_pod.one_more(POD, now),
            of_namespace.one_more(NAMESPACE, now),
            self.all.one_more(ALL, now),
        ) else {
            return false;
        };
        self.pods.insert(uid, of_pod);
        self.namespaces.insert(namespace.into(), of_namespace);
        self.all = all;
        true
    }
}

fn forget<K: Eq + Hash>(spent: &mut HashMap<K, Spent>, now: Instant) {
    spent.retain(|_, spent| spent.debt(now) > Duration::ZERO);
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

    /// Whether there may be one more about this pod of this namespace.
    fn allows(limit: &mut Limit, namespace: u32, pod: u32, now: Instant) -> bool {
        let uid = format!("00000000-0000-0000-{namespace:04x}-{pod:012x}");
        let name = PodRef::new(format!("team-{namespace}"), format!("cart-{pod}"));
        limit.allows(&name, uid.parse().unwrap(), now)
    }

    #[test]
    fn a_pod_has_a_few_at_once_and_then_one_every_two_minutes() {
        let (start, mut limit) = (Instant::now(), Limit::default());
        let mut allowed = |seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..10).filter(|_| allows(&mut limit, 1, 1, now)).count()
        };
        let seconds = [0, 1, 119, 120, 240, 479, 480, 10_000];
        assert_eq!(seconds.map(&mut allowed), [6, 0, 0, 1, 1, 1, 1, 6]);
    }

    #[test]
    fn the_pods_of_a_namespace_share_what_there_is_for_it_and_leave_the_rest_to_others() {
        let (start, mut limit) = (Instant::now(), Limit::default());
        let mut allowed = |namespace, seconds| {
            let now = start + Duration::from_secs(seconds);
            (0..100)
                .filter(|pod| allows(&mut limit, namespace, *pod, now))
                .count()
        };
        let script = [(1, 0), (1, 9), (2, 9), (1, 10), (1, 30), (3, 30), (1, 600)];
        let got = script.map(|(namespace, seconds)| allowed(namespace, seconds));
        assert_eq!(got, [30, 0, 30, 1, 2, 30, 30]);
    }

    #[test]
    fn many_pods_share_what_there_is_for_all_and_are_forgotten() {
        let (start, mut limit) = (Instant::now(), Limit::default());
        let allowed = (0..1000)
            .filter(|pod| allows(&mut limit, pod % 50, *pod, start))
            .count();
        assert_eq!(allowed, 120);
        assert_eq!((limit.pods.len(), limit.namespaces.len()), (120, 50));
        let later = start + Duration::from_mins(2);
        assert!(allows(&mut limit, 1, 5000, later));
        assert_eq!((limit.pods.len(), limit.namespaces.len()), (1, 1));
    }

    #[test]
    fn what_is_refused_costs_nothing() {
        let (now, mut limit) = (Instant::now(), Limit::default());
        let tries = |limit: &mut Limit, namespace, pod| {
            let tries = (0..1000).filter(|_| allows(limit, namespace, pod, now));
            tries.count()
        };
        assert_eq!(tries(&mut limit, 1, 1), 6);
        let got: Vec<_> = (2..8).map(|pod| tries(&mut limit, 1, pod)).collect();
        assert_eq!(got, [6, 6, 6, 6, 0, 0], "the namespace's share");
        let got: usize = (2..50)
            .map(|namespace| tries(&mut limit, namespace, 1))
            .sum();
        assert_eq!(got, 90, "what there is for all");
    }
}
