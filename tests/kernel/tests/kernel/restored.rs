//! Somebody takes away what an agent that serves has pinned. It puts it back, and goes on.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use bpf2iam_ebpf::abi;
use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    process::Process,
    stage::{Agent, Stage},
};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::{
    footprint::{LINKS, attached, version, version_of},
    scene::{
        DISPLACED, PATIENCE, assert_role, attempt, pod, stage, start, wait_for_record,
        wait_until_served,
    },
};

/// What the agent says that has put it back.
const RESTORED: &str = "the programs were taken away by another hand; attached again";

/// All pins, with the directories.
fn pins(stage: &Stage) -> Vec<PathBuf> {
    fn below(dir: &Path, all: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            below(&path, all);
            all.push(path);
        }
    }
    let mut all = Vec::new();
    below(&stage.pin_dir(), &mut all);
    all.sort_unstable();
    all
}

/// Removes something that is pinned, and waits until it is there again: the `times`-th time.
fn remove(stage: &Stage, agent: &Agent, gone: &Path, times: usize) {
    let before = pins(stage);
    let removed = if gone.is_dir() {
        fs::remove_dir_all(gone)
    } else {
        fs::remove_file(gone)
    };
    removed.unwrap();
    let restored = || Ok(agent.logged(RESTORED).len() == times);
    assert!(
        wait_until(PATIENCE, restored).unwrap(),
        "{}",
        gone.display()
    );
    assert_eq!(pins(stage), before, "{}", gone.display());
    let whole = || Ok(attached(stage) == LINKS);
    assert!(wait_until(PATIENCE, whole).unwrap(), "{}", gone.display());
}

#[test]
fn whatever_is_removed_comes_back_while_the_agent_goes_on() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let ours = version(&stage);
    let all = [
        stage.pin_dir(),
        ours.join("links"),
        ours.join("maps"),
        ours.join("links").join("imds_connect4"),
        ours.join("maps").join("IMDS_TOKEN_KEY"),
    ];
    for (before, gone) in all.iter().enumerate() {
        remove(&stage, &agent, gone, before + 1);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    }
    // It is the agent of the node as before: another one waits for it, and takes over.
    let next = start(&stage, &[]);
    wait_for_record(agent.process(), DISPLACED, |_| true);
    assert!(agent.stop().unwrap().success());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    // And what it leaves protects the node.
    next.end(Signal::KILL).unwrap();
    assert_eq!(attached(&stage), LINKS);
    let _agent = start(&stage, &[]);
    wait_until_served(&stage, &cart);
}

#[test]
fn it_comes_back_also_while_a_successor_waits_for_keys() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let hang = serde_json::json!([{ "do": { "fault": "hang" } }]);
    stage.set_sts_rules(&hang).unwrap();
    let next = Process::spawn("bpf2iam", stage.agent(&[]).unwrap()).unwrap();
    wait_for_record(&next, "the manifests changed", |_| true);
    let ours = version(&stage);
    let all = [ours.join("maps").join("IMDS_TOKEN_KEY"), ours.join("links")];
    for (before, gone) in all.iter().enumerate() {
        remove(&stage, &agent, gone, before + 1);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        assert!(agent.logged(DISPLACED).is_empty());
    }
    assert!(next.stop().unwrap().success());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

/// Of the other one there is here what ours sees of it: its lock.
#[test]
fn it_comes_back_also_while_an_agent_of_another_version_starts() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let newer = version_of(&stage, abi::VERSION + 1);
    fs::create_dir_all(newer.join("links")).unwrap();
    let lock = File::open(&newer).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    remove(&stage, &agent, &version(&stage).join("links"), 1);
    assert!(agent.logged(DISPLACED).is_empty());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}
