use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

const START: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

fn life(from: i64, to: i64) -> Life {
    Life {
        issued: at(from),
        expires: at(to),
    }
}

fn denied() -> SourceError {
    SourceError::Denied {
        role: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
        code: "AccessDenied".to_owned(),
        message: "no".to_owned(),
    }
}

fn unavailable() -> SourceError {
    SourceError::Unavailable {
        role: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
        message: "down".to_owned(),
    }
}

fn throttled() -> SourceError {
    SourceError::Throttled {
        message: "Rate exceeded".to_owned(),
    }
}

fn invalid() -> SourceError {
    SourceError::Invalid {
        role: "arn:aws:iam::123456789012:role/r".parse().unwrap(),
        code: "ValidationError".to_owned(),
        message: "no".to_owned(),
    }
}

fn seconds(delay: Duration) -> f64 {
    delay.as_secs_f64()
}

fn failure(error: &SourceError, failures: u32) -> Outcome<'_> {
    Outcome::Failure { error, failures }
}

/// When keys that were just taken are replaced.
fn renewal(life: Life, first: First, now: Timestamp, jitter: f64) -> Duration {
    let plan = next(
        Outcome::Keys(life, first),
        Some(life),
        now,
        Jitter::new(jitter),
    );
    assert_eq!(plan.quiet, plan.attempt, "nobody waits: there are keys");
    plan.quiet
}

#[test]
fn keys_are_replaced_a_little_before_half_of_their_life() {
    let hour = life(0, 3600);
    for (first, jitter, now, expected) in [
        (First::No, 0.0, 0, 1620.0),
        (First::No, 0.5, 0, 1692.0),
        (First::No, 1.0, 0, 1764.0),
        (First::Yes, 0.0, 0, 1080.0), // spread, for what began together
        (First::Yes, 1.0, 0, 1764.0),
        (First::No, 1.0, 600, 1164.0), // the answer took ten minutes to be looked at
        (First::No, 1.0, -600, 1764.0), // the clock was put back meanwhile: as if it were just issued
        (First::No, 1.0, 3000, 0.2),    // past its middle: at once, but never in a hot loop
        (First::No, 1.0, 9000, 0.2),
    ] {
        let delay = renewal(hour, first, at(now), jitter);
        assert!(
            (seconds(delay) - expected).abs() < 0.001,
            "{first:?} {jitter} {now}: {delay:?}"
        );
    }
}

#[test]
fn of_short_sessions_25_minutes_are_left_as_long_as_that_can_be() {
    for (minutes, expected) in [
        (60, 29.4),
        (50, 24.5), // the last for which half of the life is early enough
        (40, 14.5),
        (30, 4.5),
        (27, 2.7), // a tenth: more often makes no sense
        (20, 9.8), // it cannot be had: half, as always
        (15, 7.35),
    ] {
        let short = life(0, minutes * 60);
        let delay = renewal(short, First::No, at(0), 1.0);
        assert!(
            (seconds(delay) / 60.0 - expected).abs() < 0.001,
            "{minutes}: {delay:?}"
        );
    }
}

#[test]
fn failures_are_retried_by_their_kind() {
    for (error, failures, jitter, quiet, attempt) in [
        (denied(), 1, 0.0, 30.0, 30.0),
        (denied(), 6, 1.0, 60.0, 60.0), // somebody may be mending the policy
        (denied(), 7, 1.0, 60.0, 120.0), // by itself less and less often; who asks is not kept waiting for that
        (denied(), 8, 0.0, 30.0, 120.0),
        (denied(), 99, 1.0, 60.0, 600.0),
        (unavailable(), 1, 0.0, 0.2, 0.2),
        (unavailable(), 1, 1.0, 0.4, 0.4),
        (unavailable(), 2, 1.0, 0.8, 0.8),
        (unavailable(), 4, 1.0, 1.0, 3.2),
        (unavailable(), 9, 1.0, 1.0, 60.0),
        (unavailable(), u32::MAX, 1.0, 1.0, 60.0),
        (throttled(), 9, 1.0, 0.2, 0.2), // no pod is made to wait for what STS said to another
    ] {
        let plan = next(failure(&error, failures), None, at(0), Jitter::new(jitter));
        let (now_quiet, now_attempt) = (seconds(plan.quiet), seconds(plan.attempt));
        assert!(
            (now_quiet - quiet).abs() < 0.001 && (now_attempt - attempt).abs() < 0.001,
            "{error} {failures} {jitter}: {plan:?}"
        );
    }
}

#[test]
fn what_is_wrong_in_itself_is_asked_again_after_hours_unless_it_was_right_before() {
    let error = invalid();
    let plan = next(failure(&error, 1), None, at(0), Jitter::new(0.5));
    let later = Duration::from_mins(90);
    assert_eq!((plan.quiet, plan.attempt), (later, later), "whoever asks");
    let held = Some(life(0, 3600));
    let plan = next(failure(&error, 1), held, at(1800), Jitter::new(0.5));
    assert_eq!(plan.attempt, Duration::from_secs(45));
}

#[test]
fn a_refusal_does_not_outsleep_the_keys_that_are_held() {
    let error = denied();
    let held = Some(life(-3600, 30));
    let plan = next(failure(&error, 1), held, at(0), Jitter::new(1.0));
    assert_eq!(plan.attempt, Duration::from_secs(10));
    assert!(plan.quiet <= Duration::from_secs(10));
}

#[test]
fn attempts_come_closer_when_the_end_of_the_keys_does() {
    let error = unavailable();
    for (left, expected) in [(3580, 60.0), (100, 25.0), (20, 5.0), (1, 0.25)] {
        let held = Some(life(0, left + 20));
        let plan = next(failure(&error, 20), held, at(0), Jitter::new(1.0));
        let attempt = seconds(plan.attempt);
        assert!((attempt - expected).abs() < 0.001, "{left}: {plan:?}");
    }
}

#[test]
fn what_is_needed_first_is_the_most_urgent() {
    use Beginning::{New, Running};
    use Demand::{None as Nobody, Waits};
    use Lasting::{AMoment, AWhile, ForGood};
    let hour = Some(life(0, 3600));
    let (spare, ending) = (Urgency::Spare(at(3600)), Urgency::Ending(at(3600)));
    for (beginning, held, failed, demand, now, expected, changes) in [
        (New, None, None, Nobody, 0, Urgency::New, None),
        (New, None, None, Waits, 0, Urgency::Waiting, None),
        (Running, None, None, Nobody, 0, Urgency::LEAST, None),
        (Running, None, None, Waits, 0, Urgency::Waiting, None),
        (New, None, Some(AMoment), Nobody, 0, Urgency::Again, None),
        (New, None, Some(AMoment), Waits, 0, Urgency::Waiting, None),
        (New, None, Some(AWhile), Nobody, 0, Urgency::LEAST, None),
        (New, None, Some(AWhile), Waits, 0, Urgency::Again, None),
        (New, None, Some(ForGood), Waits, 0, Urgency::Again, None),
        (New, hour, None, Nobody, 1700, spare, Some(1720)),
        (New, hour, Some(AWhile), Waits, 3419, spare, Some(1)),
        (New, hour, None, Nobody, 3420, ending, None),
        (Running, hour, Some(AMoment), Nobody, 9999, ending, None),
    ] {
        let need = Need {
            beginning,
            held,
            failed,
            demand,
        };
        let changes = changes.map(Duration::from_secs);
        assert_eq!(
            urgency(&need, at(now)),
            (expected, changes),
            "{need:?} {now}"
        );
    }
    let order = [
        Urgency::Ending(at(1)),
        ending,
        Urgency::Waiting,
        Urgency::New,
        Urgency::Again,
        Urgency::Spare(at(1)),
        spare,
        Urgency::LEAST,
    ];
    assert!(order.is_sorted());
}

#[test]
fn keys_are_withdrawn_before_they_end() {
    let hour = life(0, 3600);
    assert_eq!(hour.left(at(0)), Duration::from_secs(3580));
    for now in [3580, 3590, 3600, 7200] {
        assert_eq!(hour.left(at(now)), Duration::ZERO, "{now}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_comes_by_whichever_clock_is_first() {
    let start = Instant::now();
    let deadline = Deadline::after(Duration::from_mins(1), start, at(0));
    let later = |seconds| start + Duration::from_secs(seconds);
    for (instant, wall, left) in [
        (0, 0, 60),
        (10, 10, 50),
        (10, 40, 20),     // put ahead by half a minute
        (10, 9_999, 0),   // put far ahead
        (50, -9_999, 10), // put back: the monotonic clock still counts
        (61, -9_999, 0),
    ] {
        let expected = Duration::from_secs(left);
        assert_eq!(
            deadline.left(later(instant), at(wall)),
            expected,
            "{instant} {wall}"
        );
    }
}

#[test]
fn a_jitter_is_between_zero_and_one() {
    for (number, expected) in [
        (f64::NAN, 0.0),
        (-1.0, 0.0),
        (f64::NEG_INFINITY, 0.0),
        (0.25, 0.25),
        (7.0, 1.0),
        (f64::INFINITY, 1.0),
    ] {
        assert_eq!(Jitter::new(number), Jitter(expected), "{number}");
    }
    assert_ne!(Jitter::random(), Jitter::random());
}

proptest! {
    #[test]
    fn an_attempt_is_never_later_than_the_end_of_the_keys(
        lasts in 30_i64..50_000,
        age in -1000_i64..50_000,
        failures in 1_u32..100,
        kind in 0_usize..5,
        jitter in 0.0..=1.0_f64,
    ) {
        let held = life(0, lasts);
        let now = at(age);
        prop_assume!(held.left(now) > FLOOR);
        let errors = [denied(), unavailable(), throttled(), invalid()];
        let outcome = errors
            .get(kind)
            .map_or(Outcome::Keys(held, First::No), |error| failure(error, failures));
        let plan = next(outcome, Some(held), now, Jitter::new(jitter));
        let attempt = plan.attempt;
        prop_assert!(attempt >= FLOOR && plan.quiet <= attempt, "{plan:?}");
        prop_assert!(now + attempt < held.expires, "{plan:?}");
    }

    #[test]
    fn keys_are_never_replaced_later_than_at_half_of_their_life(
        lasts in 60_i64..50_000,
        first: bool,
        jitter in 0.0..=1.0_f64,
    ) {
        let whole = life(0, lasts);
        let first = if first { First::Yes } else { First::No };
        let delay = renewal(whole, first, at(0), jitter);
        let left = until(whole.expires, at(0)).saturating_sub(delay);
        prop_assert!(seconds(delay) <= seconds(until(whole.expires, at(0))) / 2.0);
        prop_assert!(lasts < 1700 || left >= ENOUGH, "{left:?}");
    }

    /// The promise to operators: STS may be gone for 29 minutes at any time. The first attempt after that comes while
    /// the keys may still be given away, even if one began just before and takes long to fail.
    #[test]
    fn an_outage_of_29_minutes_is_survived_wherever_it_begins(
        begins in 0_u64..3600,
        jitters in prop::collection::vec(0.0..=1.0_f64, 40),
    ) {
        let (begins, hang) = (Duration::from_secs(begins), Duration::from_secs(8));
        let outage = begins..begins + Duration::from_mins(29);
        let (hour, error) = (life(0, 3600), unavailable());
        let mut jitters = jitters.into_iter().cycle();
        let mut jitter = || Jitter::new(jitters.next().unwrap());
        let (mut age, mut failures) = (Duration::ZERO, 0);
        let mut plan = next(Outcome::Keys(hour, First::No), Some(hour), at(0), jitter());
        loop {
            age += plan.attempt;
            prop_assert!(age <= Duration::from_secs(3580), "keys were lost after {failures} failures");
            if !outage.contains(&age) {
                break;
            }
            age += hang;
            failures += 1;
            plan = next(failure(&error, failures), Some(hour), at(0) + age, jitter());
        }
    }

    #[test]
    fn backoff_grows_with_failures_and_stays_in_its_bounds(
        failures in 0_u32..1000,
        jitter in 0.0..=1.0_f64,
    ) {
        let jitter = Jitter::new(jitter);
        let delay = backoff(failures, jitter);
        prop_assert!((FLOOR..=BACKOFF_CAP).contains(&delay));
        prop_assert!(backoff(failures + 1, jitter) >= delay);
    }
}
