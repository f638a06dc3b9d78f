//! Several agents that start at the same moment: one serves, the others wait, say so, and stand by in the end. From when
//! the first is ready, no pod is refused.

use std::{thread, time::Duration};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Pod,
    process::Process,
    siege::Siege,
    stage::Stage,
    steps::{Ruling, Step, Stepper},
};
use rustix::process::Signal;

use crate::{
    choice,
    footprint::{LINKS, attached},
    scene::{
        ALONE, DISPLACED, LOOP_PATIENCE, PATIENCE, SHORT_LEASE, assert_harmless, assert_role,
        attempt, pod, says, says_ready, stage, wait_for_record, wait_until_served,
    },
    takeover::assert_unnoticed,
};

/// How many agents start at once, in each round.
const ROUNDS: [usize; 10] = [3, 2, 2, 2, 2, 3, 2, 2, 2, 2];
/// How many rounds there is time for.
const FEW: usize = 2;
/// What one says that waits for its turn.
const WAITS: &str = "another agent is starting on this node; waiting for it";

/// So many agents that all begin with the same step, within a moment: the lock of who starts.
fn start_at_once(stage: &Stage, count: usize) -> Vec<Process> {
    let to_lock = |step: &Step| match step.call() {
        "flock" => Ruling::Hold,
        _ => Ruling::GoOn,
    };
    let spawn = |_| Stepper::spawn("bpf2iam", stage.agent(&[]).unwrap(), to_lock).unwrap();
    let all: Vec<_> = (0..count).map(spawn).collect();
    for (_, stepper) in &all {
        assert!(stepper.held(PATIENCE).is_some());
    }
    for (_, stepper) in &all {
        stepper.release();
    }
    all.into_iter().map(|(process, _)| process).collect()
}

fn count(agents: &[Process], what: &str) -> usize {
    agents.iter().filter(|agent| says(agent, what)).count()
}

#[test]
fn of_several_that_start_at_the_same_moment_one_serves_in_the_end_and_nobody_is_refused() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let rounds = if choice::is_asked() {
        ROUNDS.len()
    } else {
        FEW
    };
    for agents in &ROUNDS[..rounds] {
        round(&stage, &cart, *agents);
    }
}

fn round(stage: &Stage, cart: &Pod, count_of_agents: usize) {
    let agents = start_at_once(stage, count_of_agents);
    let ready = || Ok(agents.iter().any(says_ready));
    assert!(wait_until(PATIENCE, ready).unwrap());
    let siege = Siege::begin(stage, cart).unwrap();
    let others = agents.len() - 1;
    assert_eq!(count(&agents, WAITS), others);

    let settled = || Ok(count(&agents, DISPLACED) == others && count(&agents, ALONE) == others);
    assert!(wait_until(LOOP_PATIENCE, settled).unwrap());
    assert_unnoticed(&siege.end().unwrap());
    let (stood_aside, serving): (Vec<_>, Vec<_>) =
        agents.into_iter().partition(|agent| says(agent, DISPLACED));
    assert_eq!(serving.len(), 1);
    for agent in stood_aside {
        assert!(agent.stop().unwrap().success());
    }
    assert_role(&attempt(stage, &cart.place(), &["connect"]), "cart");
    for agent in serving {
        assert!(agent.stop().unwrap().success());
    }
}

#[test]
fn as_long_as_one_stands_by_the_end_of_the_other_takes_nothing_away() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let first = stage.start_agent(&SHORT_LEASE).unwrap();
    let second = stage.start_agent(&SHORT_LEASE).unwrap();
    wait_for_record(first.process(), DISPLACED, |_| true);
    // It still serves what is under way, and only then stands by.
    thread::sleep(Duration::from_secs(3));
    let (removed, said) = stage.uninstall(&[]).unwrap();
    assert!(!removed && said.contains("serves"), "{said}");
    // As if its DaemonSet were gone, and that of the first were not.
    assert!(second.end(Signal::INT).unwrap().success());
    assert_eq!(attached(&stage), LINKS);
    assert_harmless(&stage, &cart);
    let (removed, said) = stage.uninstall(&[]).unwrap();
    assert!(!removed && said.contains("stands by"), "{said}");
    // To be started anew by whoever watches over it.
    assert_eq!(
        first.into_process().wait(LOOP_PATIENCE).unwrap().code(),
        Some(1)
    );
    let _again = stage.start_agent(&SHORT_LEASE).unwrap();
    wait_until_served(&stage, &cart);
}
