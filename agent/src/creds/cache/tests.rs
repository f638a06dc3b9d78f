mod outage;
mod waiting;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use crate::creds::{Credentials, Derived, Outcome, Secret, schedule::MARGIN};

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// What the fake STS does with one call.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Keys that last so many seconds.
    Keys(i64),
    Denied,
    Invalid,
    Throttled,
    Down,
    Panic,
    Hang,
}

type Calls = Arc<Mutex<Vec<(Identity, Instant)>>>;

/// A source that does what its script says for the n-th call, after 100 ms.
struct Fake {
    script: fn(usize) -> Step,
    calls: Calls,
    clock: Clock,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Source for Fake {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push((identity.clone(), Instant::now()));
            calls.len() - 1
        };
        sleep(SECOND / 10).await;
        let role = identity.role.clone();
        let message = format!("call {number}");
        match (self.script)(number) {
            Step::Keys(seconds) => Ok(self.keys(number, seconds)),
            Step::Denied => Err(SourceError::Denied {
                role,
                code: "AccessDenied".to_owned(),
                message,
            }),
            Step::Invalid => Err(SourceError::Invalid {
                role,
                code: "ValidationError".to_owned(),
                message,
            }),
            Step::Throttled => Err(SourceError::Throttled { message }),
            Step::Down => Err(SourceError::Unavailable { role, message }),
            Step::Panic => panic!("as the script says"),
            Step::Hang => std::future::pending().await,
        }
    }
}

impl Fake {
    fn keys(&self, number: usize, seconds: i64) -> Credentials {
        let issued = self.clock.now();
        Credentials {
            access_key_id: format!("ASIA{number}"),
            secret_access_key: Secret::new("secret"),
            session_token: Secret::new("token"),
            issued,
            expires: issued + jiff::SignedDuration::from_secs(seconds),
            document: Derived::default(),
        }
    }
}

/// A cache over a fake STS, in paused time.
struct World {
    cache: Cache,
    metrics: Metrics,
    calls: Calls,
    clock: Clock,
    ahead: &'static AtomicI64,
}

impl World {
    fn new(script: fn(usize) -> Step) -> Self {
        let (clock, ahead) = Clock::jumping("2026-01-01T00:00:00Z".parse().unwrap());
        let (metrics, calls) = (Metrics::new(), Calls::default());
        let fake = Fake {
            script,
            calls: Arc::clone(&calls),
            clock,
        };
        let cache = Cache::new(fake, clock, metrics.clone());
        Self {
            cache,
            metrics,
            calls,
            clock,
            ahead,
        }
    }

    fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    /// From each call to the next.
    fn gaps(&self) -> Vec<Duration> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .zip(calls.iter().skip(1))
            .map(|((_, one), (_, next))| *next - *one)
            .collect()
    }

    /// From now on these are wanted.
    fn want(&self, identities: impl IntoIterator<Item = Identity>, beginning: Beginning) {
        let identities = identities.into_iter();
        let wanted = identities.map(|identity| (identity, beginning)).collect();
        self.cache.retain(&wanted);
    }

    fn status(&self, identity: &Identity) -> Status {
        let mut all = self.cache.snapshot().into_iter();
        all.find(|status| status.identity == *identity).unwrap()
    }
}

fn identity(role: &str) -> Identity {
    let role = format!("arn:aws:iam::123456789012:role/{role}");
    Identity::new(role.parse().unwrap(), "bpf2iam")
}

/// The first state that is not [`State::Fetching`].
async fn settled(states: &mut watch::Receiver<State>) -> State {
    let settled = states.wait_for(|state| !matches!(state, State::Fetching));
    let state = tokio::time::timeout(MINUTE, settled).await;
    state.expect("it settles").expect("its task lives").clone()
}

fn key(state: &State) -> &str {
    match state {
        State::Ready(keys) => &keys.access_key_id,
        State::Fetching | State::Failed(_) => state.word(),
    }
}

fn left(states: &watch::Receiver<State>, clock: Clock) -> Option<Duration> {
    let expires = states.borrow().expires()?;
    Some(
        expires
            .duration_since(clock.now())
            .try_into()
            .unwrap_or_default(),
    )
}

#[tokio::test(start_paused = true)]
async fn one_call_serves_all_who_ask_and_outlives_those_who_give_up() {
    let world = World::new(|_| Step::Keys(3600));
    let (a, b) = (identity("a"), identity("b"));
    let mut first = world.cache.watch(&a);
    assert_eq!(key(&first.borrow()), "fetching");
    let impatient = tokio::time::timeout(SECOND / 20, first.changed()).await;
    assert!(impatient.is_err());
    drop(first);

    let mut rest: Vec<_> = (0..100).map(|_| world.cache.watch(&a)).collect();
    let start = Instant::now();
    for states in &mut rest {
        assert_eq!(key(&settled(states).await), "ASIA0");
    }
    assert_eq!(start.elapsed(), SECOND / 20);
    assert_eq!(world.calls(), 1);
    assert_eq!(key(&settled(&mut world.cache.watch(&b)).await), "ASIA1");
}

#[tokio::test(start_paused = true)]
async fn identities_of_one_role_do_not_share_keys() {
    let world = World::new(|_| Step::Keys(3600));
    let one = identity("a");
    let other = Identity {
        session_name: "other".into(),
        ..one.clone()
    };
    let keys = settled(&mut world.cache.watch(&one)).await;
    let others = settled(&mut world.cache.watch(&other)).await;
    assert_ne!(key(&keys), key(&others));
}

#[tokio::test(start_paused = true)]
async fn while_sts_works_nobody_is_given_less_than_25_minutes() {
    let world = World::new(|_| Step::Keys(3600));
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    for _ in 0..24 * 60 {
        sleep(MINUTE).await;
        let left = left(&states, world.clock).expect("there are keys");
        assert!(left >= MINUTE * 25, "{left:?}");
    }
    // From 27 to 29.4 minutes each, the first perhaps less, and no more than that.
    assert!((48..=54).contains(&world.calls()), "{}", world.calls());
    assert_eq!(
        world.metrics.fetches(Outcome::Success),
        world.calls() as u64
    );
}

#[tokio::test(start_paused = true)]
async fn one_failure_in_five_does_not_show() {
    let world = World::new(|call| match call % 5 {
        4 => Step::Down,
        _ => Step::Keys(3600),
    });
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    for _ in 0..24 * 60 {
        sleep(MINUTE).await;
        assert!(left(&states, world.clock).expect("there are keys") >= MINUTE * 25);
    }
    assert!(world.metrics.fetches(Outcome::Unavailable) >= 9);
}

#[tokio::test(start_paused = true)]
async fn while_sts_fails_the_valid_keys_stay_and_expired_ones_never_do() {
    let world = World::new(|call| match call {
        0 => Step::Keys(3600),
        _ => Step::Down,
    });
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    let start = Instant::now();
    while let Some(left) = left(&states, world.clock) {
        assert!(left + SECOND > MARGIN, "{left:?}");
        sleep(SECOND / 2).await;
    }
    assert!(
        start.elapsed() + MARGIN + SECOND > HOUR,
        "{:?}",
        start.elapsed()
    );
    let State::Failed(error) = states.borrow().clone() else {
        panic!("withdrawn without a reason: {:?}", *states.borrow());
    };
    assert!(error.to_string().contains("call"), "{error}");
    let retries = &world.gaps()[1..];
    assert!(retries.len() > 30, "{retries:?}");
    // A minute, and up to half a minute more in the queue of those who have time.
    assert!(retries.iter().all(|gap| *gap < SECOND * 91), "{retries:?}");
}

#[tokio::test(start_paused = true)]
async fn when_sts_comes_back_keys_do_too() {
    let world = World::new(|call| match call {
        0..=9 => Step::Down,
        _ => Step::Keys(3600),
    });
    let mut states = world.cache.watch(&identity("a"));
    assert_eq!(key(&settled(&mut states).await), "failed");
    assert_eq!(world.status(&identity("a")).failures, 1);
    let ready = states.wait_for(|state| matches!(state, State::Ready(_)));
    tokio::time::timeout(MINUTE * 6, ready)
        .await
        .unwrap()
        .unwrap();
    let status = world.status(&identity("a"));
    assert_eq!((status.failures, status.failure.is_none()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_asked_about_again_after_half_a_minute_to_a_minute_and_in_the_end_seldom() {
    let world = World::new(|_| Step::Denied);
    let mut states = world.cache.watch(&identity("a"));
    let State::Failed(error) = settled(&mut states).await else {
        panic!("not denied");
    };
    assert!(matches!(*error, SourceError::Denied { .. }));
    sleep(HOUR * 2).await;
    let gaps = world.gaps();
    let (often, seldom) = gaps.split_at(6);
    for gap in often {
        assert!((SECOND * 30..=SECOND * 61).contains(gap), "{gap:?}");
    }
    assert!((10..=16).contains(&seldom.len()), "{seldom:?}");
    assert!(seldom.iter().all(|gap| *gap < MINUTE * 11), "{seldom:?}");
}

#[tokio::test(start_paused = true)]
async fn a_denial_does_not_take_valid_keys_away() {
    let world = World::new(|call| match call {
        0 => Step::Keys(3600),
        _ => Step::Denied,
    });
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    sleep(MINUTE * 45).await;
    assert_eq!(key(&states.borrow()), "ASIA0");
    let status = world.status(&identity("a"));
    assert!(matches!(
        status.failure.as_deref(),
        Some(SourceError::Denied { .. })
    ));
    sleep(MINUTE * 15).await;
    let state = states.borrow().clone();
    assert!(matches!(state, State::Failed(error) if matches!(*error, SourceError::Denied { .. })));
}

#[tokio::test(start_paused = true)]
async fn keys_that_end_earlier_never_replace_others() {
    let world = World::new(|call| match call {
        1..=3 => Step::Keys(900),
        _ => Step::Keys(3600),
    });
    let mut states = world.cache.watch(&identity("a"));
    let mut before = settled(&mut states).await.expires().unwrap();
    for _ in 0..3 * 3600 {
        sleep(SECOND).await;
        let expires = states.borrow().expires().expect("there are keys");
        assert!(expires >= before, "{expires} after {before}");
        before = expires;
    }
    // Short keys are no reason to hurry: about half of 15 minutes each.
    assert!(world.calls() < 12, "{}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn keys_that_have_ended_on_arrival_are_a_failure() {
    let world = World::new(|_| Step::Keys(-60));
    let State::Failed(error) = settled(&mut world.cache.watch(&identity("a"))).await else {
        panic!("dead keys were published");
    };
    assert!(
        error.to_string().contains("this node's clock says"),
        "{error}"
    );
    assert_eq!(world.metrics.fetches(Outcome::Success), 0);
    assert_eq!(world.metrics.fetches(Outcome::Unavailable), 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_put_ahead_does_not_leave_expired_keys_published() {
    let world = World::new(|_| Step::Keys(3600));
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    sleep(SECOND * 5).await;
    world.ahead.store(2 * 3600, Ordering::Relaxed);
    sleep(MINUTE).await;
    assert_eq!(key(&states.borrow()), "ASIA1");
    assert!(left(&states, world.clock).unwrap() > MINUTE * 58);
}

#[tokio::test(start_paused = true)]
async fn a_clock_put_ahead_withdraws_keys_that_cannot_be_replaced() {
    let world = World::new(|call| match call {
        0 => Step::Keys(3600),
        _ => Step::Hang,
    });
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    world.ahead.store(2 * 3600, Ordering::Relaxed);
    sleep(SECOND * 11).await;
    assert_eq!(key(&states.borrow()), "fetching");
}

#[tokio::test(start_paused = true)]
async fn a_clock_put_back_does_not_stop_renewal() {
    let world = World::new(|_| Step::Keys(3600));
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    sleep(MINUTE * 10).await;
    world.ahead.store(-2 * 3600, Ordering::Relaxed);
    sleep(MINUTE * 21).await;
    assert_eq!(key(&states.borrow()), "ASIA1", "the new keys last longer");
    for _ in 0..3 * 60 {
        sleep(MINUTE).await;
        assert!(left(&states, world.clock).expect("there are keys") >= MINUTE * 25);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_end_in_time_while_an_attempt_hangs() {
    let world = World::new(|call| match call {
        0 => Step::Keys(60),
        _ => Step::Hang,
    });
    let mut states = world.cache.watch(&identity("a"));
    settled(&mut states).await;
    let ended = states.wait_for(|state| !matches!(state, State::Ready(_)));
    let start = Instant::now();
    tokio::time::timeout(MINUTE, ended).await.unwrap().unwrap();
    assert!(start.elapsed() + MARGIN <= MINUTE, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up() {
    let world = World::new(|_| Step::Hang);
    let State::Failed(error) = settled(&mut world.cache.watch(&identity("a"))).await else {
        panic!("nothing is there");
    };
    assert!(error.to_string().contains("30s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_failed_attempt() {
    let world = World::new(|call| match call {
        0 => Step::Panic,
        _ => Step::Keys(3600),
    });
    let mut states = world.cache.watch(&identity("a"));
    assert_eq!(key(&settled(&mut states).await), "failed");
    sleep(SECOND * 2).await;
    assert_eq!(key(&states.borrow()), "ASIA1");
    assert_eq!(world.metrics.fetches(Outcome::Panicked), 1);
    assert_eq!(world.metrics.crashes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_dead_task_leaves_nobody_waiting_and_the_next_who_asks_starts_another() {
    let world = World::new(|_| Step::Hang);
    let a = identity("a");
    let mut states = world.cache.watch(&a);
    sleep(SECOND).await;
    world.cache.entries()[&a].task.abort();
    assert_eq!(key(&settled(&mut states).await), "failed");
    assert!(states.changed().await.is_err());
    assert_eq!(world.calls(), 1);
    assert_eq!(key(&world.cache.watch(&a).borrow()), "fetching");
    sleep(SECOND).await;
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn renewal_begins_with_the_first_pod_and_stops_after_the_last() {
    let world = World::new(|_| Step::Keys(3600));
    let (a, b) = (identity("a"), identity("b"));
    world.want([a.clone()], Beginning::New);
    sleep(SECOND).await;
    assert_eq!(key(&world.cache.watch(&a).borrow()), "ASIA0");

    let mut asked = world.cache.watch(&b);
    let mut old = world.cache.watch(&a);
    world.want([b.clone()], Beginning::New);
    assert_eq!(key(&settled(&mut asked).await), "ASIA1");
    sleep(SECOND).await;
    assert_eq!(key(&old.borrow_and_update()), "failed");
    assert_eq!(world.cache.snapshot().len(), 1);

    world.want([], Beginning::New);
    let calls = world.calls();
    sleep(HOUR * 5).await;
    assert_eq!((world.calls(), world.cache.snapshot().len()), (calls, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_still_wanted_is_left_alone() {
    let world = World::new(|_| Step::Keys(3600));
    let wanted = || [identity("a"), identity("b")];
    world.want(wanted(), Beginning::New);
    sleep(SECOND).await;
    for _ in 0..50 {
        world.want(wanted(), Beginning::Running);
    }
    sleep(SECOND).await;
    assert_eq!(world.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn throttling_slows_everybody_down_but_who_has_keys_keeps_them() {
    let world = World::new(|call| match call {
        0 => Step::Keys(3600),
        _ => Step::Throttled,
    });
    let mut cached = world.cache.watch(&identity("cached"));
    settled(&mut cached).await;
    let wanted = (0..50).map(|number| identity(&format!("r{number}")));
    world.want(wanted.chain([identity("cached")]), Beginning::New);
    sleep(MINUTE * 10).await;
    assert_eq!(key(&cached.borrow()), "ASIA0");
    // Fifty tasks that each retry every 30 s or so by themselves would be a thousand calls.
    assert!(world.calls() < 400, "{}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn status_tells_what_is_there_and_when_it_is_renewed() {
    let world = World::new(|_| Step::Keys(3600));
    let a = identity("a");
    let mut states = world.cache.watch(&a);
    assert!(world.status(&a).next.is_none());
    settled(&mut states).await;
    sleep(SECOND).await;
    let status = world.status(&a);
    assert_eq!(status.state.word(), "ready");
    let next = status.next.unwrap().duration_since(world.clock.now());
    assert!((17..=30).contains(&next.as_mins()), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn metrics_tell_what_is_done_and_what_is_held() {
    let world = World::new(|call| match call {
        0 => Step::Keys(3600),
        1 => Step::Denied,
        _ => Step::Hang,
    });
    let mut registry = Registry::with_prefix("bpf2iam");
    world.metrics.register(&mut registry);
    world.cache.register(&mut registry);
    assert!(
        !page(&registry).contains("first_expiry"),
        "there are no keys"
    );

    settled(&mut world.cache.watch(&identity("a"))).await;
    settled(&mut world.cache.watch(&identity("b"))).await;
    let _hangs = world.cache.watch(&identity("c"));
    sleep(SECOND).await;
    let page = page(&registry);
    for line in [
        r#"bpf2iam_credentials_fetches_total{outcome="success"} 1"#,
        r#"bpf2iam_credentials_fetches_total{outcome="denied"} 1"#,
        r#"bpf2iam_credentials_fetches_total{outcome="panicked"} 0"#,
        "bpf2iam_credentials_fetch_duration_seconds_count 2",
        "bpf2iam_credentials_last_success_timestamp_seconds 1767225600",
        r#"bpf2iam_credentials_identities{state="ready"} 1"#,
        r#"bpf2iam_credentials_identities{state="failed"} 1"#,
        r#"bpf2iam_credentials_identities{state="fetching"} 1"#,
        r#"bpf2iam_credentials_calls{state="waiting"} 0"#,
        r#"bpf2iam_credentials_calls{state="under_way"} 1"#,
        "bpf2iam_credentials_task_crashes_total 0",
    ] {
        assert!(page.lines().any(|got| got == line), "{line} in\n{page}");
    }
    let first = "bpf2iam_credentials_first_expiry_seconds ";
    let first = page
        .lines()
        .find_map(|line| line.strip_prefix(first))
        .unwrap();
    assert!(
        (3590.0..3600.0).contains(&first.parse::<f64>().unwrap()),
        "{first}"
    );
}

fn page(registry: &Registry) -> String {
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, registry).unwrap();
    page
}
