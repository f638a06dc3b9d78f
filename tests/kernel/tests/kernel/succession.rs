//! One agent after another: when the one before dies early, and when a node boots.

use std::{fs, thread, time::Duration};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{process::Process, stage::Agent};
use rustix::process::Signal;
use serde_json::json;

use crate::scene::{NODE_KEYS, PATIENCE, assert_role, attempt, leaks, pod, stage, start};

/// What a successor says that did not get the keys of the pods in time.
const COLD: &str = "taking over without the keys";

#[test]
fn a_successor_steps_in_at_once_when_the_agent_before_it_dies() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    // It waits for keys, which it does not get.
    stage
        .set_sts_rules(&json!([{ "do": { "fault": "hang" } }]))
        .unwrap();
    let next = Process::spawn("bpf2iam", stage.agent(&[]).unwrap()).unwrap();
    next.wait_for_line(|line| line.contains("\"starting\""), PATIENCE)
        .unwrap();
    thread::sleep(Duration::from_secs(2));
    agent.end(Signal::KILL).unwrap();
    let next = Agent::ready(next, &stage).unwrap();
    stage.set_sts_rules(&json!([])).unwrap();
    assert!(
        next.process()
            .lines()
            .iter()
            .all(|line| !line.contains(COLD))
    );
    let serves = || Ok(attempt(&stage, &cart.place(), &["connect"]).status == Some(200));
    assert!(wait_until(PATIENCE, serves).unwrap());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

#[test]
fn a_node_that_boots_again_has_nothing_and_begins_anew() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    start(&stage, &[]).end(Signal::KILL).unwrap();
    // What was pinned was in the kernel's memory.
    fs::remove_dir_all(stage.pin_dir()).unwrap();
    let ask = || attempt(&stage, &cart.place(), &["get", NODE_KEYS]);
    let is_open = || Ok(leaks(&ask()));
    assert!(wait_until(Duration::from_secs(5), is_open).unwrap());
    let _agent = start(&stage, &[]);
    assert!(!leaks(&ask()));
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}
