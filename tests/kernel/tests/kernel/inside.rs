//! The agent is a pod itself. Its own calls to the metadata service must not come back to it.

use bpf2iam_support::{
    Place,
    pod::Spec,
    process::Process,
    stage::{Agent, NODE_KEY, Stage},
};

use rustix::process::Signal;

use crate::scene::{
    NODE_KEYS, assert_nobody_there, assert_role, attempt, leaks, pod, refused_for, stage,
    wait_for_record,
};

/// It asks the metadata service before it has loaded anything, and cannot start without an answer.
const DISCOVER: [&str; 3] = ["--base-role-arn", "", "--auto-discover-base-arn"];
/// As in a container that is not privileged: it does not see where its cgroup is.
const CGROUP_NAMESPACE: [&str; 2] = ["unshare", "--cgroup"];

/// The agent in a pod on the node's network, as its DaemonSet puts it there. No pod has the node's identity, as such a
/// one would have in any case.
fn start_inside(stage: &Stage, place: &Place, launcher: &[&str], args: &[&str]) -> Agent {
    let args = [&["--node-role-for", "none"], args].concat();
    let command = stage.agent_in(place, launcher, &args).unwrap();
    let process = Process::spawn("bpf2iam", command).unwrap();
    Agent::ready(process, stage).unwrap()
}

#[test]
fn an_agent_in_a_pod_still_gets_the_nodes_keys_and_no_other_container_does() {
    let Some(stage) = stage() else { return };
    let spec = Spec::new("kube-system", "bpf2iam").on_host_network();
    let own = stage.add_pod(spec.container("helper")).unwrap();
    let agent = start_inside(&stage, &own.place(), &[], &[]);
    // It asks for its keys when the first pod needs some: long after the programs were attached. What pods may read of
    // the metadata it may have asked for already.
    let before = agent.kernel_counter("exempt").unwrap();
    let cart = pod(&stage, "cart");
    agent.wait_for_keys().unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    assert!(agent.kernel_counter("exempt").unwrap() > before);
    let calls = stage.ask_sts("/calls").unwrap();
    let signer = calls[0]["signed_by"].as_str().unwrap();
    assert!(signer.starts_with(NODE_KEY), "{calls}");
    // Only its very cgroup is exempt.
    let helper = own.container("helper").unwrap();
    let nested = ["nested-cgroup", "--name", "below", "--path", NODE_KEYS];
    for (place, args) in [
        (helper, &["get", NODE_KEYS][..]),
        (own.place(), &nested),
        (own.pause(), &["get", NODE_KEYS]),
    ] {
        let report = attempt(&stage, &place, args);
        assert_eq!(report.status, Some(404), "{report:?}");
        assert!(!leaks(&report), "{report:?}");
    }
    assert_eq!(refused_for(&stage, "not_a_pod"), 0);
    wait_for_record(agent.process(), "request", |record| {
        record["uid"] == own.uid()
    });
}

#[test]
fn after_a_crash_it_comes_back_in_another_cgroup_and_the_programs_of_the_dead_one_let_it_pass() {
    let Some(stage) = stage() else { return };
    for launcher in [&[][..], &CGROUP_NAMESPACE] {
        let spec = Spec::new("iam", "bpf2iam").on_host_network();
        let own = stage.add_pod(spec.container("again")).unwrap();
        let cart = pod(&stage, "cart");
        let agent = start_inside(&stage, &own.place(), launcher, &DISCOVER);
        agent.wait_for_keys().unwrap();
        agent.end(Signal::KILL).unwrap();
        assert_nobody_there(&stage, &cart);

        let again = own.container("again").unwrap();
        let report = attempt(&stage, &again, &["get", NODE_KEYS]);
        assert!(!leaks(&report), "{report:?}");
        let agent = start_inside(&stage, &again, launcher, &DISCOVER);
        agent.wait_for_keys().unwrap();
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        // Where the dead one was, nobody is exempt any more.
        let report = attempt(&stage, &own.place(), &["get", NODE_KEYS]);
        assert_eq!(report.status, Some(404), "{report:?}");
        agent.end(Signal::KILL).unwrap();
    }
}
