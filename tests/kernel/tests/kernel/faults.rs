//! What is wrong with a node, and what the agent says of it: one clear message, and an end; or it waits and says for what.

use std::fs;

use bpf2iam_kernel::{bpftool, objects::wait_until};
use bpf2iam_support::{
    process::Process,
    stage::{Agent, Stage},
};

use crate::scene::{
    FOUR_CAPABILITIES, NODE_KEYS, PATIENCE, assert_role, attempt, error_of, later, leaks, moved,
    pod, stage, start, text, wait_for_record,
};

/// Nothing was changed on the node.
fn assert_untouched(stage: &Stage) {
    assert!(!stage.pin_dir().exists());
    assert_eq!(bpftool::attached(&stage.node().kubepods()).unwrap(), []);
}

/// The error of an agent that `setpriv` starts with less than root has.
fn error_with(stage: &Stage, setpriv: &[&str]) -> String {
    let launcher = [&["setpriv"], setpriv, &["--"]].concat();
    let agent = stage.agent_in(&stage.node().host(), &launcher, &[]);
    let error = error_of(agent.unwrap());
    assert_untouched(stage);
    error
}

#[test]
fn missing_capabilities_are_named() {
    let Some(stage) = stage() else { return };
    for (missing, names) in [
        ("-sys_admin,-bpf", "lacks CAP_BPF;"),
        ("-sys_admin,-perfmon", "lacks CAP_PERFMON;"),
        ("-net_admin", "lacks CAP_NET_ADMIN;"),
        ("-dac_read_search", "lacks CAP_DAC_READ_SEARCH;"),
        (
            "-all",
            "lacks CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_DAC_READ_SEARCH;",
        ),
    ] {
        let error = error_with(&stage, &["--inh-caps", "-all", "--bounding-set", missing]);
        assert!(error.contains(names), "{missing}: {error}");
        assert!(error.contains("run it as root, or grant them"), "{error}");
    }
}

#[test]
fn what_is_no_pod_of_a_cluster_is_told_where_pods_may_come_from() {
    let Some(stage) = stage() else { return };
    let error = error_of(stage.agent(&["--pods", "kube"]).unwrap());
    for part in [
        "this is no pod with a ServiceAccount",
        "--kubeconfig",
        "--pods file:DIR",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_untouched(&stage);
}

#[test]
fn who_is_not_root_is_told_what_is_missing() {
    let Some(stage) = stage() else { return };
    // It may read its own program and the manifests, and nothing else is asked for before.
    let error = error_with(
        &stage,
        &["--reuid", "65534", "--regid", "65534", "--clear-groups"],
    );
    assert!(error.contains("lacks CAP_BPF, CAP_PERFMON"), "{error}");
}

#[test]
fn four_capabilities_are_enough() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let command = stage
        .agent_in(&stage.node().host(), &FOUR_CAPABILITIES, &[])
        .unwrap();
    let agent = Agent::ready(Process::spawn("bpf2iam", command).unwrap(), &stage).unwrap();
    agent.wait_for_keys().unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    assert!(agent.stop().unwrap().success());
}

#[test]
fn a_cgroup_root_that_is_no_cgroup2_mount_is_refused() {
    let Some(stage) = stage() else { return };
    for root in ["/run", "/proc"] {
        let args = ["--cgroup-root", root, "--kubepods", "kubepods"];
        let error = error_of(stage.agent(&args).unwrap());
        let expected = format!("{root} is not a cgroup v2 mount; give the node's cgroup2 mount");
        assert!(error.contains(&expected), "{error}");
        assert_untouched(&stage);
    }
}

#[test]
fn a_port_in_use_is_named() {
    let Some(stage) = stage() else { return };
    // STS listens there.
    let error = error_of(stage.agent(&["--listen-port", "8080"]).unwrap());
    assert!(
        error.contains("10.77.0.1:8080 is in use by another process"),
        "{error}"
    );
    assert!(error.contains("--listen-port"), "{error}");
    assert_untouched(&stage);

    let error = error_of(stage.agent(&["--node-ip", "10.99.0.1"]).unwrap());
    assert!(
        error.contains("10.99.0.1 is no address of this machine"),
        "{error}"
    );
    assert_untouched(&stage);
}

/// What the agent says while there is no cgroup of pods.
const WAITING: &str = "no cgroup of pods yet (--kubepods); waiting for the kubelet";

#[test]
fn the_pods_cgroup_is_waited_for() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let kubepods = later(&stage);
    let args = ["--kubepods", text(&kubepods)];
    let process = Process::spawn("bpf2iam", stage.agent(&args).unwrap()).unwrap();
    let record = wait_for_record(&process, WAITING, |_| true);
    assert_eq!(
        (&record["level"], &record["below"]),
        (&"WARN".into(), &text(&kubepods).into())
    );
    let pending = "not ready: waiting for the programs to be attached\n";
    assert_eq!(stage.admin("/readyz").unwrap(), pending);
    assert_eq!(stage.admin("/healthz").unwrap(), "ok\n");

    let cgroup = moved(&stage, &cart, &kubepods);
    fs::create_dir_all(&cgroup).unwrap();
    let agent = Agent::ready(process, &stage).unwrap();
    agent.wait_for_keys().unwrap();
    assert_eq!(stage.admin("/readyz").unwrap(), "ready\n");
    let place = cart.place().with_cgroup(&cgroup);
    assert_role(&attempt(&stage, &place, &["connect"]), "cart");
    assert_eq!(
        agent.status().unwrap()["kubepods"].as_str(),
        kubepods.to_str()
    );
    // The old root's pods are not ours.
    assert!(leaks(&attempt(&stage, &cart.place(), &["get", NODE_KEYS])));
}

#[test]
fn an_agent_that_waits_ends_when_it_is_told_to() {
    let Some(stage) = stage() else { return };
    let kubepods = later(&stage);
    let agent = stage.agent(&["--kubepods", text(&kubepods)]).unwrap();
    let process = Process::spawn("bpf2iam", agent).unwrap();
    wait_for_record(&process, WAITING, |_| true);
    assert!(process.stop().unwrap().success());
}

#[test]
fn when_the_pods_cgroup_is_made_anew_the_programs_are_attached_anew() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let kubepods = later(&stage);
    let cgroup = moved(&stage, &cart, &kubepods);
    let place = cart.place().with_cgroup(&cgroup);
    fs::create_dir_all(&kubepods).unwrap();
    let agent = start(&stage, &["--kubepods", text(&kubepods)]);
    for _ in 0..2 {
        fs::remove_dir(&kubepods).unwrap();
        fs::create_dir_all(&cgroup).unwrap();
        let attached = || Ok(bpftool::attached(&kubepods)?.len() == 8);
        assert!(wait_until(PATIENCE, attached).unwrap());
        assert_role(&attempt(&stage, &place, &["connect"]), "cart");
        cgroup
            .ancestors()
            .take_while(|path| *path != kubepods)
            .for_each(|path| {
                fs::remove_dir(path).unwrap();
            });
    }
    let said = "the pods' cgroup was made anew; attached again";
    let twice = || Ok(agent.logged(said).len() == 2);
    assert!(wait_until(PATIENCE, twice).unwrap());
}
