//! The agent is ready when a connection of its own has come the whole way.

use std::fs;

use bpf2iam_support::{
    process::{Process, output},
    stage::{Agent, Stage},
};

use crate::scene::{PATIENCE, refused_for, stage, start};

/// The names of the cgroups from which it is made.
const PREFIX: &str = "bpf2iam-trial-";
/// What is said when it fails.
const FAILED: &str = "a connection of the agent's own, made as a pod makes it, failed";

/// What the node's own firewall is told.
fn nft(stage: &Stage, words: &str) {
    let mut nft = stage.node().host().command("nft").unwrap();
    let output = output(nft.arg(words), PATIENCE).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "nft {words}: {said}");
}

fn throwaways(stage: &Stage) -> usize {
    let names = fs::read_dir(stage.node().kubepods()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with(PREFIX))
        .count()
}

#[test]
fn an_agent_whose_listener_nobody_reaches_is_not_ready() {
    for port in ["ip protocol tcp", "ip6 nexthdr tcp"] {
        let Some(stage) = stage() else { return };
        let deaf = format!(
            "table inet deaf {{
               chain in {{ type filter hook input priority 0; {port} tcp dport 8181 drop; }}
             }}"
        );
        nft(&stage, &deaf);
        let agent = stage.agent(&["--listen-port", "8181"]).unwrap();
        let agent = Process::spawn("bpf2iam", agent).unwrap();
        let failed = |line: &str| line.contains(FAILED);
        agent.wait_for_line(failed, PATIENCE).unwrap();
        assert!(
            !agent
                .lines()
                .iter()
                .any(|line| line.contains("\"message\":\"ready\""))
        );
        nft(&stage, "delete table inet deaf");
        let _ready = Agent::ready(agent, &stage).unwrap();
    }
}

#[test]
fn it_leaves_no_cgroup_and_counts_as_no_refusal() {
    let Some(stage) = stage() else { return };
    let left = stage.node().kubepods().join(format!("{PREFIX}left"));
    fs::create_dir(&left).unwrap();
    let agent = start(&stage, &[]);
    assert_eq!(throwaways(&stage), 0);
    assert_eq!(
        refused_for(&stage, "own") + refused_for(&stage, "not_a_pod"),
        0
    );
    agent.stop().unwrap();
    fs::create_dir(&left).unwrap();
    let (done, said) = stage.uninstall(&[]).unwrap();
    let expected = format!("removed {}\n", left.display());
    assert!(done && said.contains(&expected), "{said}");
    assert_eq!(throwaways(&stage), 0);
}
