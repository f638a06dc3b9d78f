//! The agent is ready when a connection of its own has come the whole way.

use std::{fs, path::Path};

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    pod::Spec,
    process::Process,
    stage::{Agent, Stage},
};
use rustix::process::Signal;

use crate::scene::{PATIENCE, refused_for, run, stage, start};

/// The names of the cgroups from which it is made.
const PREFIX: &str = "bpf2iam-trial-";
/// What is said when it fails.
const FAILED: &str = "a connection of the agent's own, made as a pod makes it, failed";

/// What the node's own firewall is told.
fn nft(stage: &Stage, words: &str) {
    run(&stage.node().host(), "nft", &[words]);
}

fn throwaways(stage: &Stage) -> usize {
    throwaways_below(&stage.node().kubepods())
}

fn throwaways_below(cgroup: &Path) -> usize {
    let names = fs::read_dir(cgroup).unwrap();
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

/// Nobody reaches the port that [`in_vain`] has the agent listen on.
fn deafen(stage: &Stage) {
    let deaf = "table inet deaf {
           chain in { type filter hook input priority 0; tcp dport 8181 drop; }
         }";
    nft(stage, deaf);
}

/// A node whose agent tries in vain, and goes on trying.
fn in_vain(stage: &Stage) -> Process {
    deafen(stage);
    let agent = stage.agent(&["--listen-port", "8181"]).unwrap();
    Process::spawn("bpf2iam", agent).unwrap()
}

#[test]
fn an_agent_that_ends_in_the_middle_of_one_leaves_no_cgroup() {
    for signal in [Signal::INT, Signal::TERM] {
        let Some(stage) = stage() else { return };
        let mut agent = in_vain(&stage);
        let tries = || Ok(throwaways(&stage) == 1);
        assert!(wait_until(PATIENCE, tries).unwrap());
        agent.signal(signal).unwrap();
        assert!(agent.wait(PATIENCE).unwrap().success());
        assert_eq!(throwaways(&stage), 0);
    }
}

#[test]
fn in_a_cgroup_namespace_it_is_made_from_below_the_agents_own_cgroup() {
    let Some(stage) = stage() else { return };
    let spec = Spec::new("iam", "bpf2iam").on_host_network();
    let pod = stage.add_pod(spec).unwrap();
    let own = pod.place();
    deafen(&stage);
    let args = ["--listen-port", "8181", "--node-role-for", "none"];
    let launcher = ["unshare", "--cgroup"];
    let agent = stage.agent_in(&own, &launcher, &args).unwrap();
    let agent = Process::spawn("bpf2iam", agent).unwrap();
    let tries = || Ok(throwaways_below(own.cgroup()) == 1);
    assert!(wait_until(PATIENCE, tries).unwrap());
    assert_eq!(throwaways(&stage), 0);
    nft(&stage, "delete table inet deaf");
    let agent = Agent::ready(agent, &stage).unwrap();
    assert_eq!(throwaways_below(own.cgroup()), 0);
    for reason in ["own", "not_a_pod"] {
        assert_eq!(refused_for(&stage, reason), 0, "{reason}");
    }
    agent.stop().unwrap();
}

/// As it is where the agent was installed among the pods that keep the node's identity.
#[test]
fn an_agent_that_keeps_the_nodes_identity_is_ready_all_the_same() {
    let Some(stage) = stage() else { return };
    let spec = Spec::new("kube-system", "bpf2iam").on_host_network();
    let pod = stage.add_pod(spec).unwrap();
    for launcher in [&["unshare", "--cgroup"][..], &[]] {
        let agent = stage.agent_in(&pod.place(), launcher, &[]).unwrap();
        let agent = Process::spawn("bpf2iam", agent).unwrap();
        Agent::ready(agent, &stage).unwrap().stop().unwrap();
    }
}

#[test]
fn a_cgroup_that_is_in_use_is_told_and_keeps_nothing_else() {
    let Some(stage) = stage() else { return };
    start(&stage, &[]).end(Signal::KILL).unwrap();
    let used = stage.node().kubepods().join(format!("{PREFIX}used"));
    fs::create_dir(&used).unwrap();
    let mut sleep = stage
        .node()
        .host()
        .with_cgroup(&used)
        .command("sleep")
        .unwrap();
    let mut sleep = sleep.arg("600").spawn().unwrap();
    let (done, said) = stage.uninstall(&[]).unwrap();
    sleep.kill().unwrap();
    sleep.wait().unwrap();
    let says = format!("cannot remove {}: ", used.display());
    assert!(!done && said.contains(&says), "{said}");
    assert!(
        !said.contains(&format!("removed {}", used.display())),
        "{said}"
    );
    assert!(!stage.pin_dir().exists() && !stage.runtime_dir().exists());
    assert!(wait_until(PATIENCE, || Ok(fs::remove_dir(&used).is_ok())).unwrap());
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
