//! An agent that is out of file descriptors: it goes on, and its programs with it.

use std::{fs, thread, time::Duration};

use bpf2iam_support::{Pod, process::Process, stage::Stage};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::scene::{NODE_KEYS, PATIENCE, assert_role, attempt, leaks, metric, pod, stage, start};

/// How many more files the agent may open.
const FILES: u64 = 4;
/// How many connections the hoarder makes: more than these.
const CONNECTIONS: usize = 12;
/// The agent looks at the pods' cgroup once a second.
const SOME_LOOKS: Duration = Duration::from_millis(2500);

/// Sets how many files the agent may open, counted from those that are open.
fn allow(pid: u32, more: u64) {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    let limit = Rlimit {
        current: Some(open + more),
        // The agent has it from us.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let pid = Pid::from_raw(pid.try_into().unwrap());
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

/// Connections of a pod that stay open and say nothing, as long as these live.
fn hoard(stage: &Stage, pod: &Pod) -> Vec<Process> {
    let open = || {
        stage
            .client()
            .start(&pod.place(), &["opened-before"])
            .unwrap()
    };
    let hoard: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    for one in &hoard {
        one.wait_for_line(|line| line == "opened", PATIENCE)
            .unwrap();
    }
    hoard
}

#[test]
fn an_agent_without_files_keeps_its_programs_and_recovers() {
    let Some(stage) = stage() else { return };
    let [hoarder, victim] = ["hoarder", "victim"].map(|name| pod(&stage, name));
    let agent = start(&stage, &[]);
    allow(agent.process().pid(), FILES);
    let hoarded = hoard(&stage, &hoarder);
    thread::sleep(SOME_LOOKS);
    for args in [&["connect"][..], &["connect", "--path", NODE_KEYS]] {
        let report = attempt(&stage, &victim.place(), args);
        assert!(!report.answered() && !leaks(&report), "{report:?}");
    }
    drop(hoarded);
    allow(agent.process().pid(), 1000);
    // The accept loop rests for a second at most.
    thread::sleep(SOME_LOOKS);
    assert_role(&attempt(&stage, &victim.place(), &["connect"]), "victim");
    assert!(metric(&stage, "bpf2iam_imds_accept_errors_total") > 0);
}
