use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

const NOW: Moment = Duration::from_secs(100);
const MIDDLE: Jitter = Jitter::new(0.5);

/// Keys that are about to end.
const SOON: Urgency = Urgency::Ending(Timestamp::UNIX_EPOCH);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// From one moment to a later one.
fn between(from: Moment, to: Moment) -> Duration {
    to.checked_sub(from).expect("time goes on")
}

/// A pace that knows that all is well.
fn seasoned() -> Pace {
    Pace {
        gap: Duration::ZERO,
        spare: Duration::ZERO,
        ..Pace::new(MIDDLE)
    }
}

/// So many are in the queue.
fn queue(urgencies: impl IntoIterator<Item = Urgency>) -> (Pace, Vec<Ticket>) {
    let mut pace = seasoned();
    let tickets = urgencies.into_iter().map(|one| pace.join(one)).collect();
    (pace, tickets)
}

/// All who may call now.
fn calls(pace: &mut Pace, now: Moment) -> Vec<Ticket> {
    std::iter::from_fn(|| match pace.next(now) {
        Next::Call(ticket) => Some(ticket),
        Next::At(_) | Next::Nobody => None,
    })
    .collect()
}

/// One call that ends at once, and so.
fn call(pace: &mut Pace, now: Moment, verdict: Verdict) {
    pace.join(Urgency::Waiting);
    assert!(matches!(pace.next(now), Next::Call(_)), "{pace:?}");
    pace.end(now, Some(verdict), now, MIDDLE);
}

#[test]
fn the_most_urgent_calls_first_and_equals_in_their_order() {
    let (mut pace, tickets) = queue([
        Urgency::LEAST,
        Urgency::New,
        SOON,
        Urgency::Waiting,
        Urgency::New,
    ]);
    let order = [2, 3, 1, 4, 0].map(|at: usize| tickets[at]);
    assert_eq!(calls(&mut pace, NOW), order);
    assert_eq!(pace.next(NOW), Next::Nobody);
}

#[test]
fn whoever_becomes_more_urgent_moves_ahead_and_never_back() {
    let (mut pace, tickets) = queue([Urgency::LEAST, Urgency::New, Urgency::New]);
    pace.hurry(tickets[0], Urgency::Waiting);
    pace.hurry(tickets[2], Urgency::LEAST);
    assert_eq!(calls(&mut pace, NOW), tickets);
}

#[test]
fn whoever_leaves_is_not_called() {
    let (mut pace, tickets) = queue([Urgency::New, Urgency::New]);
    pace.leave(tickets[0]);
    pace.leave(tickets[0]);
    assert_eq!(calls(&mut pace, NOW), [tickets[1]]);
    pace.hurry(tickets[1], Urgency::Waiting);
    assert_eq!(pace.next(NOW), Next::Nobody, "it calls already");
}

#[test]
fn no_more_than_so_many_call_at_a_time() {
    let (mut pace, _) = queue([Urgency::New; 60]);
    assert_eq!(calls(&mut pace, NOW).len(), 48);
    pace.end(NOW, None, NOW, MIDDLE);
    assert_eq!(calls(&mut pace, NOW).len(), 1);
}

#[test]
fn those_who_have_time_leave_room_for_those_who_come_next() {
    let (mut pace, _) = queue([Urgency::LEAST; 60]);
    assert_eq!(calls(&mut pace, NOW).len(), 24);
    let urgent = pace.join(Urgency::New);
    assert_eq!(pace.next(NOW), Next::Call(urgent));
}

#[test]
fn a_throttled_call_halves_what_is_done_at_a_time_and_makes_everybody_pause() {
    let (mut pace, _) = queue([Urgency::New; 100]);
    assert_eq!(calls(&mut pace, NOW).len(), 48);
    for _ in 0..48 {
        pace.end(NOW, Some(Verdict::Throttled), NOW, MIDDLE);
    }
    assert_eq!(pace.strikes, 1, "what was under way together counts once");
    let Next::At(moment) = pace.next(NOW) else {
        panic!("{pace:?}");
    };
    assert_eq!(moment, NOW + ms(125));
    assert_eq!(calls(&mut pace, moment).len(), 24, "half of 48");
}

#[test]
fn pauses_grow_with_strikes_up_to_a_few_seconds_and_end_with_a_good_call() {
    let (mut pace, mut now) = (seasoned(), NOW);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        call(&mut pace, now, Verdict::Throttled);
        pauses.push(between(now, pace.pause));
        now = pace.pause;
    }
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!(pauses[0], ms(125));
    assert_eq!(pauses[7], ms(2025), "half of the most");
    call(&mut pace, now, Verdict::Answered);
    assert_eq!(pace.strikes, 0);
    call(&mut pace, now, Verdict::Throttled);
    assert_eq!(between(now, pace.pause), ms(125));
}

#[test]
fn those_who_have_time_wait_longer_the_more_often_sts_throttles() {
    let mut pace = seasoned();
    pace.join(Urgency::LEAST);
    pace.join(Urgency::LEAST);
    assert_eq!(calls(&mut pace, NOW).len(), 2, "at first nobody waits");
    pace.end(NOW, None, NOW, MIDDLE);
    pace.end(NOW, None, NOW, MIDDLE);
    let mut now = NOW;
    for wait in [150, 300, 300] {
        call(&mut pace, now, Verdict::Throttled);
        assert_eq!(between(now, pace.spare), Duration::from_secs(wait));
        now = pace.pause;
    }
    pace.join(Urgency::LEAST);
    assert_eq!(pace.next(now), Next::At(pace.spare));
    pace.join(SOON);
    assert!(matches!(pace.next(now), Next::Call(_)), "this one does not");
}

#[test]
fn the_more_of_them_there_are_the_more_may_call_so_that_each_has_its_turn_in_time() {
    let mut pace = seasoned();
    for _ in 0..250 {
        pace.join(Urgency::LEAST);
    }
    pace.wait = WAIT_CAP;
    let (mut now, mut last) = (NOW, NOW);
    while let Next::Call(_) | Next::At(_) = pace.next(now) {
        last = now;
        now += Duration::from_millis(100);
        pace.under_way = 0;
    }
    // Those that are left wait longer and longer: as those that come do for them.
    let half = between(NOW, last);
    assert!(half <= WAIT_CAP * 8, "{half:?}");
}

#[test]
fn good_calls_end_the_waiting() {
    let mut pace = seasoned();
    call(&mut pace, NOW, Verdict::Throttled);
    for _ in 0..150 {
        let now = pace.pause;
        call(&mut pace, now, Verdict::Answered);
    }
    assert_eq!(pace.wait, Duration::ZERO);
}

#[test]
fn at_the_start_those_who_have_time_begin_slowly_and_become_faster() {
    let mut pace = Pace::new(MIDDLE);
    for _ in 0..30 {
        pace.join(Urgency::LEAST);
    }
    let first = GAP_AT_START / 2;
    assert_eq!(pace.next(Duration::ZERO), Next::At(first));
    let (mut now, mut calls) = (first, Vec::new());
    loop {
        match pace.next(now) {
            Next::Nobody => break,
            Next::At(moment) => now = moment,
            Next::Call(_) => {
                calls.push(now);
                pace.end(now, Some(Verdict::Answered), now, MIDDLE);
            }
        }
    }
    assert_eq!(calls.len(), 30);
    assert_eq!(between(calls[0], calls[1]), GAP_AT_START);
    let took = between(calls[0], calls[29]);
    assert!(took < GAP_AT_START * 3, "{took:?}");
    pace.join(Urgency::New);
    assert!(
        matches!(pace.next(now), Next::Call(_)),
        "new pods do not wait"
    );
}

#[test]
fn a_few_calls_without_an_answer_change_nothing() {
    let (mut pace, _) = queue([Urgency::New; 3]);
    assert_eq!(calls(&mut pace, NOW).len(), 3);
    pace.end(NOW, Some(Verdict::Silent), NOW, MIDDLE);
    pace.end(NOW, Some(Verdict::Silent), NOW, MIDDLE);
    pace.end(NOW, Some(Verdict::Answered), NOW, MIDDLE);
    assert_eq!((pace.silent, pace.gap), (0, Duration::ZERO));
    assert!(pace.pause <= NOW);
}

#[test]
fn while_sts_is_gone_one_at_a_time_finds_out_and_those_who_have_time_seldom() {
    let (mut pace, mut now) = (seasoned(), NOW);
    for _ in 0..20 {
        now = pace.pause.max(now);
        call(&mut pace, now, Verdict::Silent);
    }
    assert_eq!(
        between(now, pace.pause),
        ms(2025),
        "half of the distance of probes"
    );
    assert_eq!(pace.gap, GAP_CAP);
    now = pace.pause;
    for _ in 0..60 {
        pace.join(Urgency::Waiting);
    }
    assert_eq!(calls(&mut pace, now).len(), 1);
    pace.end(now, Some(Verdict::Answered), now, MIDDLE);
    assert_eq!(calls(&mut pace, now).len(), 2, "it comes back by and by");
    pace.end(now, Some(Verdict::Answered), now, MIDDLE);
    pace.end(now, Some(Verdict::Answered), now, MIDDLE);
    assert_eq!(calls(&mut pace, now).len(), 4);
}

proptest! {
    /// Whatever happens: nobody is lost, nobody called twice, the limit holds, and a moment that is named is one at
    /// which somebody may call.
    #[test]
    fn nobody_is_lost_and_nobody_waits_for_ever(
        steps in prop::collection::vec((0_u8..5, 0_u8..4, 0.0..=1.0_f64), 1..300),
    ) {
        let (mut pace, mut now) = (seasoned(), NOW);
        let (mut waiting, mut under_way) = (std::collections::HashSet::new(), Vec::new());
        for (step, kind, jitter) in steps {
            let urgency = [Urgency::Waiting, Urgency::New, SOON, Urgency::LEAST][usize::from(kind)];
            match step {
                0 | 1 => {
                    waiting.insert(pace.join(urgency));
                }
                2 => if let Some(ticket) = waiting.iter().next().copied() {
                    pace.hurry(ticket, urgency);
                },
                3 => if let Some(began) = under_way.pop() {
                    let verdict = [None, Some(Verdict::Answered), Some(Verdict::Throttled), Some(Verdict::Silent)];
                    pace.end(began, verdict[usize::from(kind)], now, Jitter::new(jitter));
                },
                _ => now += ms(u64::from(kind) * 40),
            }
            match pace.next(now) {
                Next::Call(ticket) => {
                    prop_assert!(waiting.remove(&ticket));
                    under_way.push(now);
                }
                Next::At(moment) => {
                    prop_assert!(moment > now);
                    prop_assert!(between(now, moment) <= WAIT_CAP * 2, "{:?}", between(now, moment));
                    prop_assert!(!waiting.is_empty());
                }
                Next::Nobody => prop_assert!(waiting.is_empty() || !under_way.is_empty()),
            }
            prop_assert!(under_way.len() <= 48);
        }
    }
}
