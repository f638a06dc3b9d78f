//! How much is asked for whom: no pod takes the service from the others, and all of them together not from the node.
//!
//! The service takes 1024 packets a second of a node, questions to DNS among them; one of ours has about ten.

use std::{collections::HashMap, time::Duration};

use crate::{
    budget::{Budget, Rate},
    id::PodUid,
};

/// For one pod: a walk through all that may be allowed, ...
const POD: Rate = Rate {
    burst: 100,
    every: Duration::from_millis(100),
};
/// ... of which so many are under way at a time.
const UNDER_WAY: usize = 4;
/// For all of them.
const ALL: Rate = Rate {
    burst: 200,
    every: Duration::from_millis(25),
};
/// Of so many pods it is remembered what they have spent; then who has spent nothing is forgotten.
const MOST: usize = 256;

/// What was asked for all pods, and for each.
#[derive(Debug)]
pub(super) struct Shares {
    all: Budget,
    pods: HashMap<PodUid, Share>,
}

#[derive(Debug)]
struct Share {
    budget: Budget,
    under_way: usize,
}

impl Default for Shares {
    fn default() -> Self {
        Self {
            all: Budget::new(ALL),
            pods: HashMap::new(),
        }
    }
}

impl Shares {
    /// Whether one more request may be made for `pod`. If so it is under way, until [`leave`](Self::leave).
    pub(super) fn enter(&mut self, pod: PodUid) -> bool {
        if self.pods.len() >= MOST {
            self.pods.retain(|_, share| !share.is_untouched());
        }
        let share = self.pods.entry(pod).or_insert_with(|| Share {
            budget: Budget::new(POD),
            under_way: 0,
        });
        // In this order: who has no share does not spend what is everybody's.
        let may = share.under_way < UNDER_WAY && share.budget.allows() && self.all.allows();
        share.under_way += usize::from(may);
        may
    }

    /// A request for `pod` has ended.
    pub(super) fn leave(&mut self, pod: PodUid) {
        if let Some(share) = self.pods.get_mut(&pod) {
            share.under_way = share.under_way.saturating_sub(1);
        }
    }
}

impl Share {
    fn is_untouched(&self) -> bool {
        self.under_way == 0 && self.budget.is_whole()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    fn pod(number: u128) -> PodUid {
        format!("{number:032x}").parse().unwrap()
    }

    /// How many requests come to an end at once for `pod`, of a thousand.
    fn one_after_the_other(shares: &mut Shares, pod: PodUid) -> usize {
        let entered = (0..1000).filter(|_| {
            let may = shares.enter(pod);
            if may {
                shares.leave(pod);
            }
            may
        });
        entered.count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_asks_for_everything_leaves_the_others_their_share() {
        let mut shares = Shares::default();
        let (greedy, modest) = (pod(1), pod(2));
        let at_once = (0..1000).filter(|_| shares.enter(greedy)).count();
        assert_eq!(at_once, 4);
        assert!(shares.enter(modest));
        for _ in 0..4 {
            shares.leave(greedy);
        }
        assert_eq!(one_after_the_other(&mut shares, greedy), 96);
        assert!(shares.enter(modest));
        time::advance(Duration::from_secs(1)).await;
        assert_eq!(one_after_the_other(&mut shares, greedy), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn all_pods_together_leave_the_node_its_packets() {
        let mut shares = Shares::default();
        let mut all = || -> usize {
            let pods = (0..50).map(pod);
            pods.map(|pod| one_after_the_other(&mut shares, pod)).sum()
        };
        assert_eq!(all(), 200);
        time::advance(Duration::from_secs(1)).await;
        assert_eq!(all(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn pods_that_have_long_asked_nothing_are_forgotten() {
        let mut shares = Shares::default();
        for number in 0..10_000 {
            if shares.enter(pod(number)) {
                shares.leave(pod(number));
            }
            time::advance(Duration::from_millis(200)).await;
        }
        assert!(shares.pods.len() <= MOST);
    }
}
