use bpf2iam::creds::{
    pace::{Next, Pace},
    schedule::Urgency,
};

use crate::sts::Outage;

use super::*;

const SIZE: Size = Size {
    nodes: 3,
    identities: 4,
};
/// Nobody comes.
const QUIET: Flow = Flow {
    at_first: 0.0,
    until: Duration::ZERO,
    then: 0.0,
};

fn sts() -> Sts {
    Sts::new(600, 600)
}

fn requests(cluster: &Cluster) -> u32 {
    cluster.sts.calls.total(Duration::ZERO..cluster.now)
}

fn holding(cluster: &Cluster) -> usize {
    let keepers = cluster.keepers.iter();
    keepers.filter(|keeper| keeper.held.is_some()).count()
}

#[test]
fn a_restarted_cluster_is_warm_after_one_request_for_each_identity() {
    let mut cluster = Cluster::restarted(SIZE, QUIET, sts(), 1).unwrap();
    cluster.run_until(Duration::from_mins(1));
    assert_eq!(holding(&cluster), 12);
    assert_eq!(requests(&cluster), 12);
    assert!(cluster.tally.warm.is_some());
}

#[test]
fn who_asks_has_keys_at_once_and_the_others_later() {
    let mut cluster = Cluster::restarted(SIZE, QUIET, sts(), 1).unwrap();
    let tenth = Duration::from_millis(100);
    let before = holding(&cluster);
    cluster.asks(7, 0);
    cluster.run_until(tenth);
    assert!(cluster.keepers[7].held.is_some());
    assert_eq!(holding(&cluster), before + 1);
    assert!(cluster.tally.asked_by_running.max() <= tenth);
}

#[test]
fn a_new_pod_has_keys_before_it_asks() {
    let flow = Flow { then: 1.0, ..QUIET };
    let mut cluster = Cluster::settled(SIZE, flow, sts(), 1).unwrap();
    cluster.run_until(Duration::from_mins(1));
    assert!(cluster.tally.pods > 30);
    assert!(cluster.tally.bound.len() > 30);
    assert!(cluster.tally.bound.max() <= Duration::from_millis(100));
    assert_eq!(cluster.tally.asked_by_new.longer_than(Duration::ZERO), 0);
}

#[test]
fn a_settled_cluster_renews_in_the_second_quarter_of_every_session() {
    let mut cluster = Cluster::settled(SIZE, QUIET, sts(), 1).unwrap();
    cluster.run_until(Duration::from_hours(10));
    let made = requests(&cluster);
    assert!((12 * 20..=12 * 23).contains(&made), "{made}");
    assert!(cluster.tally.least_left > Duration::from_mins(30));
    assert_eq!(cluster.tally.ended, 0);
}

#[test]
fn keys_that_end_in_an_outage_are_counted_once() {
    let hour = Duration::from_hours(1);
    for (lasts, ended) in [(29, 0), (75, 12)] {
        let mut cluster = Cluster::settled(SIZE, QUIET, sts(), 1).unwrap();
        let back = hour + Duration::from_mins(lasts);
        cluster.sts.gone(hour..back, Outage::Silent);
        cluster.run_until(back);
        assert_eq!(cluster.tally.ended, ended, "{lasts} min");
        cluster.run_until(back + hour);
        assert_eq!(cluster.troubled(), 0, "{lasts} min");
    }
}

#[test]
fn what_is_throttled_is_asked_for_again_until_it_is_there() {
    let mut cluster = Cluster::restarted(SIZE, QUIET, Sts::new(1, 1), 1).unwrap();
    for place in 0..12 {
        cluster.asks(place, 0);
    }
    cluster.run_until(Duration::from_mins(5));
    assert_eq!(holding(&cluster), 12);
    let throttled = cluster.sts.throttled.total(Duration::ZERO..cluster.now);
    assert_eq!(requests(&cluster), 12 + throttled);
    assert!(throttled > 0);
}

#[test]
fn a_pod_that_goes_leaves_no_call_behind() {
    let mut cluster = Cluster::restarted(SIZE, QUIET, sts(), 1).unwrap();
    for place in 0..12 {
        cluster.asks(place, 0);
        cluster.comes();
    }
    cluster.run_until(Duration::from_mins(1));
    assert_eq!(holding(&cluster), 12);
    for node in &mut cluster.nodes {
        assert_eq!(
            room(&mut node.pace),
            room(&mut Pace::new(schedule::Jitter::new(0.0)))
        );
    }
}

/// How many may call at once.
fn room(pace: &mut Pace) -> usize {
    let calls = (0..100).map_while(|_| {
        pace.join(Urgency::Waiting);
        matches!(pace.next(Duration::from_hours(1)), Next::Call(_)).then_some(())
    });
    calls.count()
}

#[test]
fn the_same_seed_gives_the_same_and_another_another() {
    let waits = |seed| {
        let mut cluster = Cluster::restarted(SIZE, QUIET, sts(), seed).unwrap();
        cluster.run_until(Duration::from_mins(10));
        (cluster.tally.warm, cluster.tally.asked_by_running.max())
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}
