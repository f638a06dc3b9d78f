//! What the agent finds out from the node's own metadata service before it starts.

use std::time::Duration;

use bpf2iam_kernel::bpftool;
use bpf2iam_support::{addresses::NODE_V4, pod::Spec, process::Process, stage::BASE_ARN};
use rustix::process::Signal;

use crate::scene::{assert_role, get, pod, stage, start};

const LIST: &str = "/latest/meta-data/iam/security-credentials/";

#[test]
fn the_nodes_account_and_role_are_those_of_its_pods_where_that_is_asked_for() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let plain = stage.add_pod(Spec::new("shop", "plain")).unwrap();
    let discover = ["--auto-discover-base-arn", "--auto-discover-default-role"];
    let agent = start(&stage, &[&["--base-role-arn", ""], &discover[..]].concat());
    for (pod, role) in [(&cart, "cart"), (&plain, "node-role")] {
        assert_role(&get(&stage, &pod.place(), LIST), role);
        let status = agent.status().unwrap();
        let pods = status["pods"].as_array().unwrap();
        let name = pod.spec().name.as_str();
        let found = pods.iter().find(|pod| pod["name"] == name).unwrap();
        assert_eq!(found["role"], format!("{BASE_ARN}{role}"), "{status}");
    }
}

#[test]
fn an_agent_that_waits_for_the_metadata_service_can_be_told_to_end() {
    let Some(stage) = stage() else { return };
    let nobody = format!("{NODE_V4}:81");
    let flags = [
        "--base-role-arn",
        "",
        "--auto-discover-base-arn",
        "--metadata-addr",
        &nobody,
    ];
    let mut agent = Process::spawn("bpf2iam", stage.agent(&flags).unwrap()).unwrap();
    let waits = |line: &str| line.contains("cannot find out this node's role yet");
    let line = agent.wait_for_line(waits, Duration::from_secs(20)).unwrap();
    assert!(
        line.contains("cannot connect: Connection refused"),
        "{line}"
    );
    agent.signal(Signal::TERM).unwrap();
    let ended = agent.wait(Duration::from_secs(2)).unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(bpftool::attached(&stage.node().kubepods()).unwrap(), []);
}
