//! Single calls of the agent to the kernel fail: no memory for a map, no room for a pin. It goes on, or it ends with one
//! clear message and takes nothing of others with it; the next one serves.

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    stage::Stage,
    steps::{Ruling, Step, Stepper},
};
use rustix::{io::Errno, process::Signal};

use crate::{
    choice,
    footprint::{LINKS, attached},
    scene::{
        self, LOOP_PATIENCE, PATIENCE, SHORT_LEASE, assert_harmless, pod, says_ready, stage,
        wait_until_served,
    },
};

/// A call, and how it fails.
type Failure = (&'static str, Errno);

/// Calls, and how they fail when the kernel has no more to give.
const FAILURES: [Failure; 8] = [
    ("mkdir", Errno::NOSPC),
    ("flock", Errno::NOLCK),
    ("bpf map-create", Errno::NOMEM),
    ("bpf prog-load", Errno::NOMEM),
    ("bpf obj-pin", Errno::NOSPC),
    ("bpf link-create", Errno::NOMEM),
    ("bpf link-update", Errno::NOMEM),
    ("bpf map-update", Errno::NOMEM),
];

/// Fails the call with this number among those of its kind, counted from 1.
fn fail(call: &'static str, errno: Errno, number: usize) -> impl FnMut(&Step) -> Ruling + Send {
    let mut count = 0;
    move |step| {
        if step.call() != call {
            return Ruling::GoOn;
        }
        count += 1;
        if count == number {
            Ruling::Fail(errno)
        } else {
            Ruling::GoOn
        }
    }
}

/// Starts an agent of which that call fails, and ends it. Says what its error was; none if it became ready all the same.
fn start(stage: &Stage, (call, errno): Failure, number: usize) -> Option<String> {
    let agent = stage.agent(&SHORT_LEASE).unwrap();
    let rule = fail(call, errno, number);
    let (mut process, stepper) = Stepper::spawn("bpf2iam", agent, rule).unwrap();
    let over = || Ok(stepper.has_ended() || says_ready(&process));
    assert!(wait_until(LOOP_PATIENCE, over).unwrap());
    if !stepper.has_ended() {
        process.signal(Signal::TERM).unwrap();
        process.wait(PATIENCE).unwrap();
        return None;
    }
    Some(scene::only_error(&mut process))
}

/// The cases of an undisturbed start: a kind of failure, and the number of the call.
fn cases(stage: &Stage) -> Vec<(Failure, usize)> {
    let agent = stage.agent(&SHORT_LEASE).unwrap();
    let (mut process, stepper) = Stepper::spawn("bpf2iam", agent, |_| Ruling::GoOn).unwrap();
    assert!(wait_until(PATIENCE, || Ok(says_ready(&process))).unwrap());
    let seen = stepper.seen();
    process.signal(Signal::TERM).unwrap();
    process.wait(PATIENCE).unwrap();
    let made = |call: &str| seen.iter().filter(|step| step.call() == call).count();
    let each = |failure: Failure| (1..=made(failure.0)).map(move |number| (failure, number));
    FAILURES.into_iter().flat_map(each).collect()
}

fn nothing_is_pinned(stage: &Stage) -> bool {
    let (done, said) = stage.uninstall(&["--dry-run"]).unwrap();
    assert!(done, "{said}");
    said.starts_with("nothing is pinned")
}

fn clean(stage: &Stage) {
    let (done, said) = stage.uninstall(&[]).unwrap();
    assert!(done, "{said}");
}

#[test]
fn on_a_clean_node_who_cannot_start_leaves_nothing_or_a_closed_door() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let all = cases(&stage);
    for (failure, number) in choice::some_of(all, 24, |(_, number)| *number) {
        clean(&stage);
        let error = start(&stage, failure, number);
        println!("{failure:?} {number}: {error:?}");
        // It is attached as a whole, or not at all.
        match attached(&stage) {
            0 if error.is_some() => assert!(nothing_is_pinned(&stage)),
            LINKS => assert_harmless(&stage, &cart),
            some => panic!("{some} are attached"),
        }
    }
}

#[test]
fn on_a_protected_node_who_cannot_start_leaves_it_protected() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    cases(&stage);
    let all = cases(&stage);
    for (failure, number) in choice::some_of(all, 24, |(_, number)| *number) {
        let error = start(&stage, failure, number);
        println!("{failure:?} {number}: {error:?}");
        assert_eq!(attached(&stage), LINKS);
        assert_harmless(&stage, &cart);
    }
    let _agent = stage.start_agent(&SHORT_LEASE).unwrap();
    wait_until_served(&stage, &cart);
}
