//! Somebody sets the clock of the node back, or ahead. Pods keep their roles and their tokens, the lease goes on, and agents
//! take over from each other.

use std::thread;

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    process::Process,
    stage::{Agent, Stage},
    told_time::ToldTime,
};
use rustix::process::Signal;

use crate::scene::{
    DISPLACED, EXPIRED, LOOP_PATIENCE, assert_expired, assert_role, pod, stage, token_of,
    wait_for_record, with_token,
};

const DAY: i32 = 24 * HOUR;
/// Keys are good for an hour, tokens for six.
const HOUR: i32 = 60 * 60;
/// The lease is short, so that it would have expired while somebody looks.
const ARGS: [&str; 4] = ["--lease", "1s", "--imds-tokens", "required"];

fn told(stage: &Stage) -> ToldTime {
    let (library, file) = (&stage.programs().told_time, stage.scratch().join("time"));
    ToldTime::new(library, &file).unwrap()
}

/// An agent that is told the time.
fn start(stage: &Stage, time: &ToldTime) -> Agent {
    let mut agent = stage.agent(&ARGS).unwrap();
    agent.envs(time.environment());
    Agent::ready(Process::spawn("bpf2iam", agent).unwrap(), stage).unwrap()
}

#[test]
fn a_clock_that_is_set_back_or_ahead_costs_pods_neither_their_role_nor_their_tokens() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let time = told(&stage);
    let mut agent = start(&stage, &time);
    agent.wait_for_keys().unwrap();
    // By a clock that was behind, keys were got that have ended by one that is ahead: there are none until there are others.
    let assert_good = |token: &str| {
        let served = || {
            let report = with_token(&stage, &cart, token);
            assert!(matches!(report.status, Some(200 | 503)), "{report:?}");
            Ok(report.status == Some(200))
        };
        assert!(wait_until(LOOP_PATIENCE, served).unwrap());
        assert_role(&with_token(&stage, &cart, token), "cart");
    };
    for wall in [-4 * HOUR, HOUR / 2, 0] {
        let before = token_of(&stage, &cart);
        time.set_wall(wall).unwrap();
        thread::sleep(EXPIRED);
        let after = token_of(&stage, &cart);
        for _ in 0..2 {
            assert_good(&before);
            assert_good(&after);
            let next = start(&stage, &time);
            wait_for_record(agent.process(), DISPLACED, |_| true);
            agent.stop().unwrap();
            agent = next;
        }
    }
    // Nor does the lease of one that is gone come back to life.
    agent.end(Signal::KILL).unwrap();
    thread::sleep(EXPIRED);
    time.set_wall(-2 * DAY).unwrap();
    assert_expired(&stage, &cart);
    let agent = start(&stage, &time);
    agent.wait_for_keys().unwrap();
    assert_good(&token_of(&stage, &cart));
}

/// To the agent, and to every client on the node, the keys of STS have ended already.
#[test]
fn by_a_clock_that_is_ahead_of_the_keys_pods_get_none_until_it_is_right_again() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let time = told(&stage);
    let agent = start(&stage, &time);
    agent.wait_for_keys().unwrap();
    let old = token_of(&stage, &cart);
    time.set_wall(DAY).unwrap();
    assert_eq!(with_token(&stage, &cart, &old).status, Some(401));
    let token = token_of(&stage, &cart);
    let report = with_token(&stage, &cart, &token);
    assert_eq!(report.status, Some(503), "{report:?}");
    time.set_wall(0).unwrap();
    let served = || Ok(with_token(&stage, &cart, &token).status == Some(200));
    assert!(wait_until(LOOP_PATIENCE, served).unwrap());
    assert_role(&with_token(&stage, &cart, &old), "cart");
}
