//! The agent is killed at any step of its life: while it starts, while it takes over or is taken over from, while it
//! ends, while `bpf2iam uninstall` runs.
//!
//! Whenever that is, a pod gets its own role, a refusal or nothing, at once and when the lease has expired; the next
//! agent serves it; and an uninstall leaves nothing. The real service answers only where nothing of ours is attached: on a
//! node that was never protected, or is not to be any more.
//!
//! There are some hundred steps. A run walks to a few of them ([`choice`]), and prints to which.

use std::{collections::BTreeSet, mem, thread, time::Duration};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::{
    bpftool,
    objects::{Objects, wait_until},
};
use bpf2iam_support::{
    Pod,
    client::Report,
    process::Process,
    stage::{Agent, Stage},
    steps::{self, Ruling, Step, Stepper},
};
use rustix::process::Signal;

use crate::{
    choice,
    footprint::LINKS,
    scene::{
        ALONE, EXPIRED, LOOP_PATIENCE, PATIENCE, SHORT_LEASE, assert_not_anothers, assert_refused,
        attempt, host_pod, pod, says, says_ready, stage,
    },
    versions,
};

/// What is killed somewhere in the middle of a walk.
struct Victim {
    process: Process,
    stepper: Stepper,
}

/// A way to be walked again and again.
#[derive(Clone, Copy)]
struct Walk {
    name: &'static str,
    /// To so many of its steps there is time to go.
    few: usize,
    node: Node,
}

/// How the node is before a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    /// Nothing of ours is attached there, or is not to be any more.
    Open,
    /// Pods are kept from the real service, and will be all the way.
    Protected,
}

/// One time that a walk was walked.
struct Walked {
    /// What was done, or about to be.
    steps: Vec<Step>,
    /// Where it ended; none if it came to its end.
    at: Option<Step>,
    left: Left,
}

/// Who is there besides the one that was killed.
enum Left {
    Nobody,
    /// The old agent, which may have stood aside already.
    Old(Process),
    /// The new one, which takes over.
    New(Process),
}

/// A node with two pods: one that asks over IPv4, and one on the node's network that asks over IPv6.
struct Scene {
    stage: Stage,
    pods: [Pod; 2],
}

/// How they ask, and by which program they are kept from the real service.
const WAYS: [(&str, &str); 2] = [("connect", "imds_connect4"), ("ipv6", "imds_connect6")];

/// Tells the steps of a walk from others.
#[derive(Default)]
struct Counting {
    /// The last one was to try a lock.
    tried: bool,
}

impl Counting {
    /// The lease is renewed whenever it is time, and a lock is tried until it is had.
    fn counts(&mut self, step: &Step) -> bool {
        if step.value_size() == Some(size_of::<abi::Lease>()) {
            return false;
        }
        let tried = mem::replace(&mut self.tried, step.call() == "flock");
        !(tried && self.tried)
    }
}

/// Holds the step with this number, counted from 1, and all after it.
fn hold_from(number: usize) -> impl FnMut(&Step) -> Ruling + Send + 'static {
    let (mut counting, mut count) = (Counting::default(), 0);
    move |step| {
        count += usize::from(counting.counts(step));
        if count < number {
            Ruling::GoOn
        } else {
            Ruling::Hold
        }
    }
}

impl Victim {
    /// An agent that starts, to be killed before the step with this number.
    fn agent(scene: &Scene, number: usize) -> Self {
        let agent = scene.stage.agent(&SHORT_LEASE).unwrap();
        let (process, stepper) = Stepper::spawn("bpf2iam", agent, hold_from(number)).unwrap();
        Self { process, stepper }
    }

    /// Waits until it is held, or has come to its end, which `is_done` tells.
    fn wait(&self, is_done: impl Fn() -> bool) -> Option<Step> {
        let held = || self.stepper.held(Duration::ZERO);
        let over = || Ok(held().is_some() || is_done());
        assert!(wait_until(LOOP_PATIENCE, over).unwrap());
        held()
    }

    fn is_ready(&self) -> bool {
        says_ready(&self.process)
    }

    /// It has taken over, and the agent before it is done.
    fn is_alone(&self) -> bool {
        says(&self.process, ALONE)
    }

    /// The steps of its walk so far.
    fn steps(&self) -> Vec<Step> {
        let (mut counting, mut steps) = (Counting::default(), self.stepper.seen());
        steps.retain(|step| counting.counts(step));
        steps
    }

    /// Kills it, after so many steps before its walk.
    fn end(mut self, before: usize, at: Option<Step>, left: Left) -> Walked {
        let steps = self.steps().split_off(before);
        self.process.signal(Signal::KILL).unwrap();
        self.process.wait(PATIENCE).unwrap();
        Walked { steps, at, left }
    }
}

impl Scene {
    fn new() -> Option<Self> {
        let stage = stage()?;
        let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
        Some(Self { stage, pods })
    }

    /// An agent that serves: who asks has its keys fetched at once.
    fn start(&self) -> Agent {
        let agent = self.stage.start_agent(&SHORT_LEASE).unwrap();
        self.wait_until_served();
        agent
    }

    /// As a kubelet does, who starts anew what has ended. An agent of another version that has been replaced answers at the
    /// control socket for some seconds, once the one that replaced it is dead.
    fn start_in_the_end(&self) -> Agent {
        let mut agent = None;
        let started = wait_until(PATIENCE, || {
            match self.stage.start_agent(&SHORT_LEASE) {
                Ok(started) => agent = Some(started),
                Err(error) => assert!(
                    format!("{error:#}").contains("another agent answers at "),
                    "{error:#}"
                ),
            }
            Ok(agent.is_some())
        });
        assert!(started.unwrap());
        self.wait_until_served();
        agent.unwrap()
    }

    fn wait_until_served(&self) {
        let served = || {
            let mut all = self.pods.iter().zip(self.asked());
            Ok(all.all(|(pod, report)| report.body.as_ref() == Some(&pod.spec().name)))
        };
        assert!(wait_until(PATIENCE, served).unwrap(), "{:?}", self.asked());
    }

    /// The names of what is attached.
    fn attached(&self) -> Vec<String> {
        let all = bpftool::attached(&self.stage.node().kubepods()).unwrap();
        all.into_iter().map(|one| one.name).collect()
    }

    fn asked(&self) -> [Report; 2] {
        let ask = |(pod, (way, _)): (&Pod, _)| attempt(&self.stage, &pod.place(), &[way]);
        let mut all = self.pods.iter().zip(WAYS).map(ask);
        [(); 2].map(|()| all.next().unwrap())
    }

    /// Every pod gets its own role, a refusal or nothing.
    #[track_caller]
    fn assert_harmless(&self, node: Node, expired: bool) {
        let attached = self.attached();
        // While one version takes over from another, those of both are.
        let kinds: BTreeSet<_> = attached.iter().collect();
        assert!(node == Node::Open || kinds.len() == LINKS, "{attached:?}");
        for ((pod, (_, program)), report) in self.pods.iter().zip(WAYS).zip(self.asked()) {
            if !attached.iter().any(|name| name == program) {
                continue;
            }
            if expired {
                assert_refused(&report, "EPERM", "connect");
            }
            assert_not_anothers(&report, pod);
        }
    }

    /// What has to be true after each of them, however the walk ended.
    fn judge(&self, node: Node, walked: Walked) {
        self.assert_harmless(node, false);
        thread::sleep(EXPIRED);
        self.assert_harmless(node, matches!(walked.left, Left::Nobody));
        if let Left::New(new) = &walked.left {
            assert!(wait_until(PATIENCE, || Ok(says_ready(new))).unwrap());
            self.wait_until_served();
            new.signal(Signal::TERM).unwrap();
        }
        let agent = self.start_in_the_end();
        let objects = Objects::of(&agent).unwrap();
        assert!(agent.stop().unwrap().success());
        if let Left::Old(old) = walked.left {
            old.stop().unwrap();
        }
        self.uninstall();
        objects.wait_until_gone().unwrap();
    }

    fn uninstall(&self) {
        let (done, said) = self.stage.uninstall(&[]).unwrap();
        assert!(done, "{said}");
        assert!(!self.stage.pin_dir().exists());
        assert!(self.attached().is_empty());
    }
}

impl Walk {
    const fn new(name: &'static str, few: usize, node: Node) -> Self {
        Self { name, few, node }
    }

    /// Walks to the end, and then again to a few of the steps.
    fn walk(self, to: impl Fn(&Scene, usize) -> Walked) {
        let Some(scene) = Scene::new() else { return };
        let Self { name, few, node } = self;
        let whole = to(&scene, usize::MAX);
        let steps = whole.steps.clone();
        scene.judge(node, whole);
        let of = steps.len();
        let mut reached = 0;
        for number in chosen(&steps, few) {
            let walked = to(&scene, number);
            let at = walked.at.as_ref().map(ToString::to_string);
            println!("{name}: killed before step {number} of {of}: {at:?}");
            reached += usize::from(at.is_some());
            scene.judge(node, walked);
        }
        // A walk may be shorter the next time; and it may be shorter than what somebody has asked for.
        assert!(reached > 0 || choice::is_asked(), "{name}: {steps:#?}");
    }
}

/// The numbers of those to which it is walked. What nobody feels is walked to when there is time.
fn chosen(steps: &[Step], few: usize) -> Vec<usize> {
    let numbered = (1..).zip(steps);
    let worth_it = numbered.filter(|(_, step)| is_felt(step) || choice::is_asked());
    let numbers = worth_it.map(|(number, _)| number).collect();
    choice::some_of(numbers, few, |number| *number)
}

/// Whether others feel a step: what is only loaded goes with who has loaded it.
fn is_felt(step: &Step) -> bool {
    !["bpf btf-load", "bpf map-create", "bpf prog-load"].contains(&step.call())
}

#[test]
fn at_each_step_of_the_first_start() {
    Walk::new("first start", 4, Node::Open).walk(|scene, number| {
        let victim = Victim::agent(scene, number);
        let at = victim.wait(|| victim.is_ready());
        victim.end(0, at, Left::Nobody)
    });
}

#[test]
fn at_each_step_of_a_start_after_a_crash() {
    Walk::new("start after a crash", 4, Node::Protected).walk(|scene, number| {
        scene.start().end(Signal::KILL).unwrap();
        let victim = Victim::agent(scene, number);
        let at = victim.wait(|| victim.is_ready());
        victim.end(0, at, Left::Nobody)
    });
}

#[test]
fn at_each_step_of_a_takeover_by_the_new_agent() {
    Walk::new("takeover, the new agent", 3, Node::Protected).walk(|scene, number| {
        let old = scene.start();
        let victim = Victim::agent(scene, number);
        let at = victim.wait(|| victim.is_alone());
        victim.end(0, at, Left::Old(old.into_process()))
    });
}

#[test]
fn at_each_step_of_a_takeover_from_another_version() {
    let Some(other) = versions::other() else {
        return;
    };
    Walk::new("takeover from another version", 3, Node::Protected).walk(|scene, number| {
        let old = versions::start_other(&scene.stage, &other);
        let victim = Victim::agent(scene, number);
        // It inherits nothing from that.
        let at = victim.wait(|| victim.is_ready());
        victim.end(0, at, Left::Old(old.into_process()))
    });
}

/// The old agent is killed while the new one is about to make a step.
#[test]
fn of_the_old_agent_at_each_step_of_the_new_one() {
    Walk::new("takeover, the old agent", 3, Node::Protected).walk(|scene, number| {
        let old = scene.start();
        let new = Victim::agent(scene, number);
        let at = new.wait(|| new.is_ready());
        old.end(Signal::KILL).unwrap();
        let steps = new.steps();
        new.stepper.release();
        let left = Left::New(new.process);
        Walked { steps, at, left }
    });
}

/// All that the old agent does meanwhile is to renew its lease.
#[test]
fn of_the_old_agent_at_each_step_of_its_own() {
    Walk::new("taken over from", 2, Node::Protected).walk(|scene, number| {
        let victim = Victim::agent(scene, usize::MAX);
        assert!(wait_until(PATIENCE, || Ok(victim.is_ready())).unwrap());
        scene.wait_until_served();
        let before = victim.stepper.seen().len();
        victim.stepper.rule(steps::hold_from(number));
        let new = Process::spawn("bpf2iam", scene.stage.agent(&SHORT_LEASE).unwrap()).unwrap();
        let at = victim.wait(|| says(&new, ALONE));
        let steps = victim.stepper.seen().split_off(before);
        Walked {
            steps,
            ..victim.end(0, at, Left::New(new))
        }
    });
}

fn at_the_end(scene: &Scene, number: usize, signal: Signal) -> Walked {
    let victim = Victim::agent(scene, usize::MAX);
    assert!(wait_until(PATIENCE, || Ok(victim.is_ready())).unwrap());
    scene.wait_until_served();
    let before = victim.steps().len();
    victim.stepper.rule(hold_from(number));
    victim.process.signal(signal).unwrap();
    let at = victim.wait(|| victim.stepper.has_ended());
    victim.end(before, at, Left::Nobody)
}

#[test]
fn at_each_step_of_its_end_by_sigterm() {
    Walk::new("SIGTERM", 2, Node::Protected)
        .walk(|scene, number| at_the_end(scene, number, Signal::TERM));
}

#[test]
fn at_each_step_of_its_end_by_sigint() {
    Walk::new("SIGINT", 4, Node::Open).walk(|scene, number| at_the_end(scene, number, Signal::INT));
}

#[test]
fn at_each_step_of_an_uninstall_by_hand() {
    Walk::new("uninstall", 4, Node::Open).walk(|scene, number| {
        scene.start().end(Signal::KILL).unwrap();
        let uninstall = scene.stage.uninstaller(&[]).unwrap();
        let (process, stepper) =
            Stepper::spawn("bpf2iam uninstall", uninstall, hold_from(number)).unwrap();
        let victim = Victim { process, stepper };
        let at = victim.wait(|| victim.stepper.has_ended());
        victim.end(0, at, Left::Nobody)
    });
}
