//! Those who wait, and those who do not.

use super::*;

/// How long somebody who asks now waits until there are keys or a refusal.
async fn wait(world: &World, identity: &Identity) -> Duration {
    let start = Instant::now();
    let mut states = world.cache.watch(identity);
    let known = states.wait_for(|state| match state {
        State::Ready(_) => true,
        State::Failed(error) => error.is_final(),
        State::Fetching => false,
    });
    tokio::time::timeout(HOUR, known).await.unwrap().unwrap();
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn within_the_memory_of_a_refusal_all_who_ask_are_told_and_nobody_asks_sts() {
    let world = World::new(|_| Step::Denied);
    wait(&world, &identity("a")).await;
    for _ in 0..290 {
        sleep(SECOND / 10).await;
        assert_eq!(wait(&world, &identity("a")).await, Duration::ZERO);
    }
    assert_eq!(world.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_after_it_is_let_in_and_waits_for_the_answer() {
    let world = World::new(|call| match call {
        0..20 => Step::Denied,
        _ => Step::Keys(3600),
    });
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    while world.calls() < 20 {
        sleep(MINUTE).await;
    }
    // By now it is asked about every ten minutes. Somebody has edited the trust policy.
    sleep(MINUTE * 2).await;
    let calls = world.calls();
    assert_eq!(calls, 20, "nobody has asked");
    assert_eq!(key(&world.cache.watch(&a).borrow()), "fetching");
    assert_eq!(wait(&world, &a).await, SECOND / 10);
    assert_eq!(key(&world.cache.watch(&a).borrow()), "ASIA20");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_in_itself_is_not_asked_again_for_an_hour_whoever_asks() {
    let world = World::new(|_| Step::Invalid);
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    for _ in 0..59 {
        let known = wait(&world, &a).await;
        assert!(known <= SECOND / 10, "{known:?}");
        sleep(MINUTE).await;
    }
    assert_eq!(world.calls(), 1);
    sleep(HOUR + MINUTE * 2).await;
    assert_eq!(world.calls(), 2, "somebody may have mended something");
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_while_a_refusal_was_remembered_has_had_his_answer() {
    let world = World::new(|_| Step::Denied);
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    while world.calls() < 12 {
        sleep(SECOND).await;
    }
    // Now it is asked about every ten minutes by itself.
    sleep(SECOND * 5).await;
    drop(world.cache.watch(&a));
    sleep(MINUTE * 3).await;
    assert_eq!(world.calls(), 12);
}

#[tokio::test(start_paused = true)]
async fn failures_of_another_kind_are_counted_anew() {
    let world = World::new(|call| match call {
        0..20 => Step::Down,
        _ => Step::Denied,
    });
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    while world.calls() < 21 {
        sleep(SECOND).await;
    }
    sleep(SECOND).await;
    assert_eq!(world.status(&a).failures, 1);
    sleep(MINUTE * 2).await;
    assert!(world.calls() >= 22, "a refusal is looked at again soon");
}

#[tokio::test(start_paused = true)]
async fn a_caller_makes_a_retry_come_sooner() {
    let world = World::new(|call| match call {
        0..12 => Step::Down,
        _ => Step::Keys(3600),
    });
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    while world.calls() < 10 {
        sleep(SECOND).await;
    }
    // By itself it would take up to a minute for each attempt. As an SDK does, this one asks again and again.
    let start = Instant::now();
    while key(&world.cache.watch(&a).borrow()) != "ASIA12" {
        sleep(SECOND).await;
    }
    assert!(start.elapsed() < SECOND * 12, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_do_not_hammer_sts() {
    let world = World::new(|_| Step::Down);
    let a = identity("a");
    world.want([a.clone()], Beginning::New);
    for _ in 0..600 {
        sleep(SECOND / 10).await;
        drop(world.cache.watch(&a));
    }
    assert!(world.calls() <= 61, "{}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn pods_that_ran_before_are_warmed_by_and_by_and_new_ones_at_once() {
    let world = World::new(|_| Step::Keys(3600));
    let running = (0..100).map(|number| (identity(&format!("r{number}")), Beginning::Running));
    let new = (0..40).map(|number| (identity(&format!("n{number}")), Beginning::New));
    world.cache.retain(&running.chain(new).collect());
    // No call has ended yet: until then at most one of those that have time may have begun.
    sleep(SECOND / 20).await;
    let fresh = world.calls();
    assert!((40..=41).contains(&fresh), "{fresh}");
    // Each good call lets the next come sooner.
    sleep(MINUTE).await;
    assert_eq!(world.calls(), 140);
}

#[tokio::test(start_paused = true)]
async fn a_running_pod_that_asks_is_served_at_once() {
    let world = World::new(|_| Step::Keys(3600));
    let all = || (0..100).map(|number| identity(&format!("r{number}")));
    world.want(all(), Beginning::Running);
    for identity in all() {
        assert!(wait(&world, &identity).await <= SECOND / 10);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_goes_before_those_who_do_not() {
    let world = World::new(|_| Step::Keys(3600));
    let all = (0..1000).map(|number| identity(&format!("r{number}")));
    let last = identity("r999");
    world.want(all, Beginning::New);
    sleep(SECOND / 20).await;
    // More than twenty rounds of 100 ms are to come: it takes part in the next, or has its turn already.
    let waited = wait(&world, &last).await;
    assert!(waited <= SECOND / 5, "{waited:?}");
    assert!(world.calls() < 200, "{}", world.calls());
}

#[tokio::test(start_paused = true)]
async fn of_250_callers_the_many_who_give_up_take_nothing_down() {
    let world = World::new(|_| Step::Keys(3600));
    let a = identity("a");
    let callers: Vec<_> = (0..250_u32)
        .map(|number| {
            let mut states = world.cache.watch(&a);
            let patience = if number % 10 == 0 {
                MINUTE
            } else {
                SECOND / 1000 * (number % 90)
            };
            tokio::spawn(async move {
                let ready = states.wait_for(|state| matches!(state, State::Ready(_)));
                tokio::time::timeout(patience, ready).await.is_ok()
            })
        })
        .collect();
    let mut served = 0;
    for caller in callers {
        served += usize::from(caller.await.unwrap());
    }
    assert_eq!((served, world.calls()), (25, 1));
}

#[tokio::test(start_paused = true)]
async fn what_sts_throttles_is_no_pods_fault_and_comes_in_the_end() {
    let world = World::new(|call| match call {
        0..30 => Step::Throttled,
        _ => Step::Keys(3600),
    });
    let all = || (0..20).map(|number| identity(&format!("r{number}")));
    world.want(all(), Beginning::New);
    let start = Instant::now();
    for identity in all() {
        wait(&world, &identity).await;
    }
    assert!(start.elapsed() < SECOND * 30, "{:?}", start.elapsed());
    assert_eq!(world.calls(), 30 + 20);
}

#[tokio::test(start_paused = true)]
async fn whoever_waited_for_what_was_throttled_need_not_queue_with_those_who_have_time() {
    let world = World::new(|call| match call {
        0..5 => Step::Throttled,
        _ => Step::Keys(3600),
    });
    let a = identity("a");
    world.want([a.clone()], Beginning::Running);
    let waited = wait(&world, &a).await;
    assert!(waited < SECOND * 12, "{waited:?}");
}
