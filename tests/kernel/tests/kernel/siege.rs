//! Eight clients connect as fast as they can while the agent is replaced, killed and removed. `cargo xtask bench lifetime`
//! does it more often, and with a clock.

use std::time::Duration;

use bpf2iam_support::siege::{self, CLIENTS, Outcome, Seen};

use crate::scene::{pod, stage};

/// How long after its start an agent may take at most to have connects wait for it rather than fail, on a machine that eight
/// clients keep busy. The benchmark says how long it does.
const REFUSED: Duration = Duration::from_secs(5);

/// A connection of each client may be under way when an agent ends.
fn under_way(times: usize) -> u64 {
    u64::from(CLIENTS) * times as u64
}

/// There was somebody who asked, and was never told anything but the truth.
#[track_caller]
fn assert_never_wrong(seen: &Seen) {
    assert!(seen.count(Outcome::Own) > 200, "{}", seen.summary());
    assert_eq!(seen.count(Outcome::Wrong), 0, "{}", seen.summary());
}

#[test]
fn of_an_upgrade_no_client_notices_anything() {
    let Some(stage) = stage() else { return };
    let seen = siege::upgrade(&stage, &pod(&stage, "cart"), 5).unwrap();
    assert_never_wrong(&seen);
    assert_eq!(seen.count(Outcome::Own), seen.total(), "{}", seen.summary());
}

#[test]
fn when_it_is_killed_clients_are_refused_until_the_next_one_serves_and_no_longer() {
    let Some(stage) = stage() else { return };
    let (seen, times) = siege::kill(&stage, &pod(&stage, "cart"), 5).unwrap();
    assert_never_wrong(&seen);
    assert_eq!(seen.count(Outcome::Node), 0, "{}", seen.summary());
    // Who connects while the next agent starts waits for it, on a slow machine longer than it likes.
    let silent = seen.among(Outcome::Silence, |spell| {
        !times.iter().any(|time| time.covers(spell))
    });
    assert_eq!(silent, 0, "{}", seen.summary());
    let cut = seen.among(Outcome::Cut, |spell| {
        !times.iter().any(|time| time.cuts(spell))
    });
    assert_eq!(cut, 0, "{}", seen.summary());
    assert!(seen.count(Outcome::Refused) > 0, "{}", seen.summary());
    let untimely = seen.among(Outcome::Refused, |spell| {
        !times.iter().any(|time| time.covers(spell))
    });
    assert_eq!(untimely, 0, "{}", seen.summary());
    for time in &times {
        let last = seen.last(Outcome::Refused, (time.started, time.served));
        let refused = last.map(|last| last.since(time.started));
        assert!(refused.is_none_or(|long| long < REFUSED), "{refused:?}");
    }
}

#[test]
fn when_it_is_removed_the_real_service_answers_at_once_and_never_before() {
    let Some(stage) = stage() else { return };
    let (seen, times) = siege::remove(&stage, &pod(&stage, "cart"), 3).unwrap();
    assert_never_wrong(&seen);
    for time in &times {
        let real = seen.last(Outcome::Node, (time.gone, time.started));
        assert!(real.is_some(), "{}", seen.summary());
    }
    let early = seen.among(Outcome::Node, |spell| {
        !times.iter().any(|time| time.covers(spell))
    });
    assert_eq!(early, 0, "{}", seen.summary());
    let refused = seen.among(Outcome::Refused, |spell| {
        !times.iter().any(|time| time.ends(spell))
    });
    assert_eq!(refused, 0, "{}", seen.summary());
    // One that the real service had not answered yet is cut when the programs come.
    for outcome in [Outcome::Cut, Outcome::Silence] {
        assert!(
            seen.count(outcome) <= under_way(times.len()),
            "{}",
            seen.summary()
        );
    }
}
