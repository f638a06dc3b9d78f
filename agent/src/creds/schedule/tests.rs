use proptest::prelude::*;

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

fn seconds(delay: Duration) -> f64 {
    delay.as_secs_f64()
}

#[test]
fn an_hour_is_refreshed_between_24_and_30_minutes() {
    let hour = life(0, 3600);
    for (jitter, now, expected) in [
        (0.0, 0, 1440.0),
        (0.5, 0, 1620.0),
        (1.0, 0, 1800.0),
        (1.0, 600, 1200.0),  // the answer took ten minutes to be looked at
        (1.0, -600, 1800.0), // the clock was put back meanwhile: as if it were just issued
        (1.0, 3000, 0.2),    // past its middle: at once, but never in a hot loop
        (1.0, 9000, 0.2),
    ] {
        let delay = next(
            Outcome::Keys(hour),
            Some(hour),
            at(now),
            Jitter::new(jitter),
        );
        assert!(
            (seconds(delay) - expected).abs() < 0.001,
            "{jitter} {now}: {delay:?}"
        );
    }
}

#[test]
fn failures_are_retried_by_their_kind() {
    for (error, failures, jitter, expected) in [
        (denied(), 1, 0.0, 30.0),
        (denied(), 9, 1.0, 60.0), // no longer than that: somebody may be mending the policy
        (unavailable(), 1, 0.0, 0.2),
        (unavailable(), 1, 1.0, 1.0),
        (unavailable(), 2, 1.0, 2.0),
        (unavailable(), 4, 1.0, 8.0),
        (unavailable(), 7, 1.0, 60.0),
        (unavailable(), u32::MAX, 1.0, 60.0),
        (throttled(), 3, 1.0, 4.0),
    ] {
        let outcome = Outcome::Failure {
            error: &error,
            failures,
        };
        let delay = next(outcome, None, at(0), Jitter::new(jitter));
        assert!(
            (seconds(delay) - expected).abs() < 0.001,
            "{outcome:?} {jitter}: {delay:?}"
        );
    }
}

#[test]
fn a_denial_does_not_outsleep_the_keys_that_are_held() {
    let error = denied();
    let outcome = Outcome::Failure {
        error: &error,
        failures: 1,
    };
    let delay = next(outcome, Some(life(-3600, 30)), at(0), Jitter::new(1.0));
    assert_eq!(delay, Duration::from_secs(10));
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
        kind in 0_usize..4,
        jitter in 0.0..=1.0_f64,
    ) {
        let held = life(0, lasts);
        let now = at(age);
        prop_assume!(held.left(now) > Duration::ZERO);
        let errors = [denied(), unavailable(), throttled()];
        let outcome = errors.get(kind).map_or(Outcome::Keys(held), |error| {
            Outcome::Failure { error, failures }
        });
        let delay = next(outcome, Some(held), now, Jitter::new(jitter));
        prop_assert!(delay >= FLOOR);
        prop_assert!(now + delay < held.expires, "{delay:?}");
    }

    #[test]
    fn keys_are_replaced_at_about_half_of_their_life(
        lasts in 60_i64..50_000,
        jitter in 0.0..=1.0_f64,
    ) {
        let whole = life(0, lasts);
        let delay = next(Outcome::Keys(whole), Some(whole), at(0), Jitter::new(jitter));
        let part = seconds(delay) / seconds(until(whole.expires, whole.issued));
        prop_assert!((0.399..=0.501).contains(&part), "{part}");
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
