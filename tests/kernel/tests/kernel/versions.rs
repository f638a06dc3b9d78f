//! An agent takes over from one whose maps have another layout: upgrade and rollback across a change of the ABI.
//!
//! `BPF2IAM_OTHER_BIN` names an agent that was built with another `abi::VERSION`; without it only what can be had without is
//! tried.

use std::{
    env,
    fs::{self, File},
    thread,
    time::Duration,
};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    pod::Spec,
    privilege::not_tried,
    process::Process,
    siege::Siege,
    stage::{Agent, Stage},
};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::{
    footprint::{LINKS, attached, version, version_of, versions},
    scene::{
        DISPLACED, KEEPS, PATIENCE, SHORT_LEASE, assert_role, attempt, exposed, pod, says, stage,
        start, wait_for_record, wait_until_served,
    },
    takeover::assert_unnoticed,
};

/// Names the other agent.
const OTHER: &str = "BPF2IAM_OTHER_BIN";
/// Several looks after the programs.
const MOMENT: Duration = Duration::from_millis(500);

/// The other agent, if there is one; else that is said.
pub(crate) fn other() -> Option<String> {
    let other = env::var(OTHER).ok();
    if other.is_none() {
        not_tried("another version", &format!("{OTHER} names no agent of it"));
    }
    other
}

/// Starts the agent that is at `other`.
pub(crate) fn start_other(stage: &Stage, other: &str) -> Agent {
    // What it is told to start is ours.
    let script = format!("shift; exec {other} \"$@\"");
    let launcher = ["sh", "-c", &script, "sh"];
    let host = stage.node().host();
    let agent = stage.agent_in(&host, &launcher, &SHORT_LEASE).unwrap();
    Agent::ready(Process::spawn("bpf2iam", agent).unwrap(), stage).unwrap()
}

fn start_one(stage: &Stage, other: Option<&str>) -> Agent {
    match other {
        Some(other) => start_other(stage, other),
        None => stage.start_agent(&SHORT_LEASE).unwrap(),
    }
}

#[test]
fn agents_of_two_versions_take_over_from_each_other_in_order() {
    let Some(other) = other() else { return };
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let plugin = Spec::new("kube-system", "plugin").on_host_network();
    let plugin = stage.add_pod(plugin).unwrap();
    let mut old = start_one(&stage, None);
    old.wait_for_keys().unwrap();
    wait_for_record(old.process(), KEEPS, |_| true);
    for next in [Some(other.as_str()), None] {
        let siege = Siege::begin(&stage, &cart).unwrap();
        let new = start_one(&stage, next);
        wait_for_record(old.process(), DISPLACED, |_| true);
        assert_eq!((attached(&stage), versions(&stage)), (LINKS, 1));
        assert!(old.stop().unwrap().success());
        assert_unnoticed(&siege.end().unwrap());
        assert!(!says(new.process(), KEEPS), "nobody was exempt any more");
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        old = new;
    }
    for next in [Some(other.as_str()), None] {
        old.end(Signal::KILL).unwrap();
        old = start_one(&stage, next);
        assert!(exposed(&stage, &plugin.place()));
        assert!(!says(old.process(), KEEPS), "nobody was exempt any more");
        wait_until_served(&stage, &cart);
        assert_eq!((attached(&stage), versions(&stage)), (LINKS, 1));
    }
}

/// One that is killed while it takes over leaves programs that refuse whom ours let through.
#[test]
fn what_a_dead_agent_of_another_version_has_left_is_taken_away_by_the_one_that_serves() {
    let Some(stage) = stage() else { return };
    let _agent = start(&stage, &SHORT_LEASE);
    let newer = version_of(&stage, abi::VERSION + 1);
    fs::create_dir_all(newer.join("links")).unwrap();
    let lock = File::open(&newer).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    thread::sleep(MOMENT);
    assert!(newer.exists());
    drop(lock);
    assert!(wait_until(PATIENCE, || Ok(!newer.exists())).unwrap());
    assert_eq!((attached(&stage), versions(&stage)), (LINKS, 1));
}

/// Of the other version there is here what ours sees of it: its lock, its links, and that ours are gone.
#[test]
fn who_is_superseded_by_another_version_stands_aside_and_ends_when_that_is_gone() {
    let Some(stage) = stage() else { return };
    let mut old = start(&stage, &SHORT_LEASE).into_process();
    let newer = version_of(&stage, abi::VERSION + 1);
    fs::create_dir_all(newer.join("links")).unwrap();
    let lock = File::open(&newer).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    for pin in fs::read_dir(version(&stage).join("links")).unwrap() {
        let pin = pin.unwrap();
        fs::rename(pin.path(), newer.join("links").join(pin.file_name())).unwrap();
    }
    wait_for_record(&old, DISPLACED, |_| true);
    drop(lock);
    assert_eq!(old.wait(PATIENCE).unwrap().code(), Some(1));
    let says = says(&old, "no agent serves this node any more");
    assert!(says, "{:#?}", old.lines());
}
