//! The agent is suspended, as a debugger, a snapshot of the machine or a lack of memory does it, for longer than its
//! lease: what pods get meanwhile and afterwards, and what it does with what it was about to do.

use std::{thread, time::Duration};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Pod,
    client::{Tally, reported},
    process::Process,
    stage::{Agent, Stage},
    steps::{Ruling, Step, Stepper},
};
use rustix::process::Signal;

use crate::scene::{
    ALONE, DISPLACED, EXPIRED, LIST, LOOP_PATIENCE, PATIENCE, SHORT_LEASE, assert_expired,
    assert_role, attempt, pod, says, stage, start, wait_for_record, wait_until_served,
};

fn suspend(process: &Process) {
    process.signal(Signal::STOP).unwrap();
}

fn resume(process: &Process) {
    process.signal(Signal::CONT).unwrap();
}

/// Another agent, which takes over.
fn succeed(stage: &Stage) -> Agent {
    stage.start_agent(&SHORT_LEASE).unwrap()
}

/// What a pod gets that asks for three seconds, while something is done.
fn asking(stage: &Stage, pod: &Pod, meanwhile: impl FnOnce()) -> Tally {
    let name = &pod.spec().name;
    let load = ["load", "--threads", "2", "--path", LIST, "--seconds", "3"];
    let args = [&load[..], &["--expect", name]].concat();
    let load = stage.client().start(&pod.place(), &args).unwrap();
    thread::sleep(Duration::from_millis(500));
    meanwhile();
    reported(&load, LOOP_PATIENCE).unwrap()
}

/// All that a pod asked was answered.
#[track_caller]
fn assert_unnoticed(tally: &Tally) {
    assert!(tally.ok > 100 && tally.ok == tally.total(), "{tally:?}");
}

/// The kernel accepts for it, and nobody answers.
fn assert_silence(stage: &Stage, pod: &Pod) {
    let report = attempt(stage, &pod.place(), &["connect"]);
    assert!(report.connected && !report.answered(), "{report:?}");
    let got = (report.error.as_deref(), report.failed_at.as_deref());
    assert_eq!(got, (Some("ETIMEDOUT"), Some("receive")), "{report:?}");
}

#[test]
fn a_suspended_agent_is_silent_until_its_lease_ends_and_serves_again_when_it_goes_on() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    // Long enough for a slow machine to ask before it has expired.
    let agent = start(&stage, &["--lease", "5s"]);
    for _ in 0..2 {
        suspend(agent.process());
        assert_silence(&stage, &cart);
        let refused = || {
            let report = attempt(&stage, &cart.place(), &["connect"]);
            Ok(report.error.as_deref() == Some("EPERM"))
        };
        assert!(wait_until(PATIENCE, refused).unwrap());
        assert_expired(&stage, &cart);
        resume(agent.process());
        wait_until_served(&stage, &cart);
    }
    assert!(agent.logged(DISPLACED).is_empty());
    assert!(agent.stop().unwrap().success());
}

#[test]
fn who_was_replaced_while_it_was_suspended_stands_aside_and_disturbs_nobody() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &SHORT_LEASE);
    suspend(old.process());
    thread::sleep(EXPIRED);
    let new = succeed(&stage);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    let tally = asking(&stage, &cart, || resume(old.process()));
    assert_unnoticed(&tally);
    wait_for_record(old.process(), DISPLACED, |_| true);
    wait_for_record(new.process(), ALONE, |_| true);
    assert!(old.stop().unwrap().success());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

/// Holds the first step that is `wanted`.
fn hold(wanted: impl Fn(&Step) -> bool + Send + 'static) -> impl FnMut(&Step) -> Ruling + Send {
    move |step| {
        if wanted(step) {
            Ruling::Hold
        } else {
            Ruling::GoOn
        }
    }
}

fn is_link(step: &Step) -> bool {
    step.call() == "bpf link-update"
}

fn is_renewal(step: &Step) -> bool {
    step.value_size() == Some(size_of::<abi::Lease>())
}

/// It found that the programs obey it, and was suspended before it told them for how long. What it tells is long over, and
/// is about its own configuration only.
#[test]
fn a_renewal_that_was_overtaken_costs_nobody_the_lease() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let (process, stepper) = Stepper::spawn("bpf2iam", stage.agent(&SHORT_LEASE).unwrap(), |_| {
        Ruling::GoOn
    })
    .unwrap();
    let old = Agent::ready(process, &stage).unwrap();
    old.wait_for_keys().unwrap();
    stepper.rule(hold(is_renewal));
    assert!(stepper.held(PATIENCE).is_some());
    let new = succeed(&stage);
    thread::sleep(EXPIRED);
    let renewals = || {
        stepper
            .seen()
            .iter()
            .filter(|step| is_renewal(step))
            .count()
    };
    let before = renewals();
    let tally = asking(&stage, &cart, || stepper.release());
    wait_for_record(old.process(), DISPLACED, |_| true);
    assert_eq!(renewals(), before);
    assert_unnoticed(&tally);
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    drop(new);
}

/// Up to there the one before it serves, however long it takes.
#[test]
fn a_successor_that_is_suspended_on_its_way_is_waited_for() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let mut old = start(&stage, &SHORT_LEASE);
    // Its configuration is told when all links run its programs.
    let is_config = |step: &Step| step.value_size() == Some(size_of::<abi::Config>());
    let points: [fn(&Step) -> bool; 2] = [is_link, is_config];
    for wanted in points {
        let agent = stage.agent(&SHORT_LEASE).unwrap();
        let (process, stepper) = Stepper::spawn("bpf2iam", agent, hold(wanted)).unwrap();
        assert!(stepper.held(LOOP_PATIENCE).is_some());
        suspend(&process);
        thread::sleep(EXPIRED);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        resume(&process);
        stepper.release();
        let new = Agent::ready(process, &stage).unwrap();
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        wait_for_record(new.process(), ALONE, |_| true);
        assert!(old.stop().unwrap().success());
        old = new;
    }
}

/// Nobody is left who could take over from it: it is waited for, and who was replaced says so.
#[test]
fn a_successor_that_is_suspended_once_it_serves_leaves_pods_refused_until_it_goes_on() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let mut old = start(&stage, &SHORT_LEASE).into_process();
    let new = succeed(&stage);
    suspend(new.process());
    let ended = old.wait(PATIENCE).unwrap();
    assert_eq!(ended.code(), Some(1));
    let says = says(&old, "no agent serves this node any more");
    assert!(says, "{:#?}", old.lines());
    assert_expired(&stage, &cart);
    // Whoever is started instead waits for it, and says for whom.
    let next = Process::spawn("bpf2iam", stage.agent(&SHORT_LEASE).unwrap()).unwrap();
    let waits = "another agent is starting on this node; waiting for it";
    wait_for_record(&next, waits, |_| true);
    assert_expired(&stage, &cart);
    resume(new.process());
    wait_until_served(&stage, &cart);
    let next = Agent::ready(next, &stage).unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    wait_for_record(next.process(), ALONE, |_| true);
}

/// The old agent is suspended while the new one is about to put its programs in the place of the old one's.
#[test]
fn an_agent_that_is_suspended_while_it_is_taken_over_from_keeps_nobody_waiting() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &SHORT_LEASE);
    let agent = stage.agent(&SHORT_LEASE).unwrap();
    let (process, stepper) = Stepper::spawn("bpf2iam", agent, hold(is_link)).unwrap();
    assert!(stepper.held(LOOP_PATIENCE).is_some());
    suspend(old.process());
    stepper.release();
    let new = Agent::ready(process, &stage).unwrap();
    thread::sleep(EXPIRED);
    let tally = asking(&stage, &cart, || resume(old.process()));
    assert_unnoticed(&tally);
    wait_for_record(new.process(), ALONE, |_| true);
}
