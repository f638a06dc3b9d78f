//! An agent takes over from one whose maps have another layout: upgrade and rollback across a change of the ABI.
//!
//! `BPF2IAM_OTHER_BIN` names an agent that was built with another `abi::VERSION`; without it only what can be had without is
//! tried.

use std::{
    env,
    fs::{self, File},
};

use bpf2iam_kernel::bpftool;
use bpf2iam_support::{
    client::{Tally, reported},
    process::Process,
    stage::{Agent, Stage},
};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::scene::{
    DISPLACED, LIST, LOOP_PATIENCE, PATIENCE, assert_role, attempt, pod, stage, start,
    wait_for_record, wait_until_served,
};

/// Names the other agent.
const OTHER: &str = "BPF2IAM_OTHER_BIN";
/// The shortest.
const LEASE: [&str; 2] = ["--lease", "1s"];
/// How many links there are.
const LINKS: usize = 8;

fn attached(stage: &Stage) -> usize {
    bpftool::attached(&stage.node().kubepods()).unwrap().len()
}

/// The other agent, if there is one; else that is said.
pub(crate) fn other() -> Option<String> {
    let other = env::var(OTHER).ok();
    if other.is_none() {
        eprintln!("NOT TRIED: {OTHER} names no agent of another version");
    }
    other
}

/// Starts the agent that is at `other`.
pub(crate) fn start_other(stage: &Stage, other: &str) -> Agent {
    // What it is told to start is ours.
    let script = format!("shift; exec {other} \"$@\"");
    let launcher = ["sh", "-c", &script, "sh"];
    let host = stage.node().host();
    let agent = stage.agent_in(&host, &launcher, &LEASE).unwrap();
    Agent::ready(Process::spawn("bpf2iam", agent).unwrap(), stage).unwrap()
}

fn start_one(stage: &Stage, other: Option<&str>) -> Agent {
    match other {
        Some(other) => start_other(stage, other),
        None => stage.start_agent(&LEASE).unwrap(),
    }
}

#[test]
fn agents_of_two_versions_take_over_from_each_other_in_order() {
    let Some(other) = other() else { return };
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let mut old = start_one(&stage, None);
    old.wait_for_keys().unwrap();
    for next in [Some(other.as_str()), None] {
        let load = ["load", "--threads", "2", "--path", LIST, "--seconds", "12"];
        let args = [&load[..], &["--expect", "cart"]].concat();
        let load = stage.client().start(&cart.place(), &args).unwrap();
        let new = start_one(&stage, next);
        wait_for_record(old.process(), DISPLACED, |_| true);
        assert_eq!((attached(&stage), versions(&stage)), (LINKS, 1));
        let tally: Tally = reported(&load, LOOP_PATIENCE).unwrap();
        assert!(tally.ok > 100 && tally.ok == tally.total(), "{tally:?}");
        assert!(old.stop().unwrap().success());
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        old = new;
    }
    for next in [Some(other.as_str()), None] {
        old.end(Signal::KILL).unwrap();
        old = start_one(&stage, next);
        wait_until_served(&stage, &cart);
        assert_eq!((attached(&stage), versions(&stage)), (LINKS, 1));
    }
}

/// How many versions have pinned something.
fn versions(stage: &Stage) -> usize {
    fs::read_dir(stage.pin_dir()).unwrap().count()
}

/// Of the other version there is here what ours sees of it: its directory, its lock, and that ours is taken away.
#[test]
fn who_is_superseded_by_another_version_stands_aside_and_ends_when_that_is_gone() {
    let Some(stage) = stage() else { return };
    let mut old = start(&stage, &LEASE).into_process();
    let newer = stage.pin_dir().join("2");
    fs::create_dir(&newer).unwrap();
    let lock = File::open(&newer).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    for pin in fs::read_dir(stage.pin_dir().join("1").join("links")).unwrap() {
        fs::remove_file(pin.unwrap().path()).unwrap();
    }
    wait_for_record(&old, DISPLACED, |_| true);
    drop(lock);
    assert_eq!(old.wait(PATIENCE).unwrap().code(), Some(1));
    let says = |line: &String| line.contains("no agent serves this node any more");
    assert!(old.lines().iter().any(says), "{:#?}", old.lines());
}
