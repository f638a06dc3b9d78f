//! Pods that keep the node's own identity keep it whether an agent runs or not, each by its own cgroup.

use bpf2iam_kernel::objects::wait_until;
use bpf2iam_support::{
    Pod,
    pod::Spec,
    stage::{Agent, Stage},
};
use rustix::process::Signal;

use crate::scene::{
    KEEPS, NODE_KEYS, PATIENCE, assert_nobody_there, assert_role, attempt, exposed, leaks, pod,
    says, stage, start, wait_for_record,
};

/// A pod as a network plugin's.
fn network(stage: &Stage, name: &str) -> Pod {
    let spec = Spec::new("kube-system", name).on_host_network();
    stage.add_pod(spec).unwrap()
}

/// How many pods are exempt, as the agent says it.
fn exempt(agent: &Agent) -> usize {
    let status = agent.status().unwrap();
    status["kernel"]["exempt"]["pods"].as_array().unwrap().len()
}

/// The pod reaches the real service, and not by way of the agent.
#[track_caller]
fn assert_passes(stage: &Stage, agent: &Agent, pod: &Pod) {
    let passed = agent.kernel_total("exempt").unwrap();
    assert!(exposed(stage, &pod.place()));
    assert!(
        agent.kernel_total("exempt").unwrap() > passed,
        "it went by the agent"
    );
}

#[test]
fn a_pod_that_keeps_the_nodes_role_keeps_it_while_no_agent_runs() {
    let Some(stage) = stage() else { return };
    let (cart, plugin) = (pod(&stage, "cart"), network(&stage, "plugin"));
    let agent = start(&stage, &["--lease", "1s"]);
    wait_for_record(agent.process(), KEEPS, |record| {
        record["pod"] == "kube-system/plugin"
    });
    assert_eq!(exempt(&agent), 1);
    assert_passes(&stage, &agent, &plugin);
    agent.end(Signal::KILL).unwrap();
    for _ in 0..20 {
        assert!(exposed(&stage, &plugin.place()));
        assert_nobody_there(&stage, &cart);
    }
    // The next one finds it so, and another that is told otherwise ends it.
    let agent = start(&stage, &[]);
    assert_passes(&stage, &agent, &plugin);
    assert!(!says(agent.process(), KEEPS), "it was not exempt any more");
    agent.end(Signal::KILL).unwrap();
    let agent = start(&stage, &["--node-role-for", "none"]);
    let none = || Ok(exempt(&agent) == 0);
    assert!(wait_until(PATIENCE, none).unwrap());
    let report = attempt(&stage, &plugin.place(), &["get", NODE_KEYS]);
    assert!(!leaks(&report), "{report:?}");
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
}

#[test]
fn a_pod_that_comes_later_is_exempt_and_one_that_goes_leaves_nothing() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    assert_eq!(exempt(&agent), 0);
    let plugin = network(&stage, "plugin");
    let one = || Ok(exempt(&agent) == 1);
    assert!(wait_until(PATIENCE, one).unwrap());
    assert_passes(&stage, &agent, &plugin);
    drop(plugin);
    let none = || Ok(exempt(&agent) == 0);
    assert!(wait_until(PATIENCE, none).unwrap());
}
