//! The path from end to end: a pod's call to the metadata address is answered with that pod's own credentials.

use bpf2iam_support::{
    cgroup::{Driver, Qos},
    pod::Spec,
    stage::{BASE_ARN, Stage},
};
use serde_json::Value;

use crate::scene::{
    assert_role, attempt, get, host_pod, leaks, pod, stage, stage_with, start, wait_for_record,
};

const LIST: &str = "/latest/meta-data/iam/security-credentials/";

/// Every address of the metadata service: how to ask there, and whom the client believes to ask.
const ADDRESSES: [(&str, &str); 3] = [
    ("connect", "169.254.169.254:80"),
    ("mapped", "[::ffff:169.254.169.254]:80"),
    ("ipv6", "[fd00:ec2::254]:80"),
];

/// For which role STS gave out an access key.
fn role_of_key(stage: &Stage, key: &Value) -> Value {
    let issued = stage.ask_sts(&format!("/issued/{}", key.as_str().unwrap()));
    issued.unwrap()["role"].take()
}

#[test]
fn two_pods_on_one_node_get_each_their_own_role_by_every_address() {
    let Some(stage) = stage() else { return };
    let pods = ["cart", "till"].map(|name| pod(&stage, name));
    let _agent = start(&stage, &[]);
    for pod in &pods {
        let role = &pod.spec().name;
        for (address, peer) in ADDRESSES {
            let report = attempt(&stage, &pod.place(), &[address]);
            assert_role(&report, role);
            assert_eq!(report.peer, peer.parse().ok(), "{report:?}");

            let path = format!("{LIST}{role}");
            let report = attempt(&stage, &pod.place(), &[address, "--path", &path]);
            let keys: Value = serde_json::from_str(&report.body.unwrap()).unwrap();
            let expected = format!("{BASE_ARN}{role}");
            assert_eq!(role_of_key(&stage, &keys["AccessKeyId"]), expected.as_str());
        }
    }
}

#[test]
fn a_pod_does_not_get_the_role_of_another() {
    let Some(stage) = stage() else { return };
    let [cart, _till] = ["cart", "till"].map(|name| pod(&stage, name));
    let _agent = start(&stage, &[]);
    for role in ["till", "node-role", "default", "cart/../till"] {
        let report = get(&stage, &cart.place(), &format!("{LIST}{role}"));
        assert_eq!(report.status, Some(404), "{role}: {report:?}");
    }
}

#[test]
fn a_pod_without_a_role_gets_none() {
    let Some(stage) = stage() else { return };
    let plain = stage.add_pod(Spec::new("shop", "plain")).unwrap();
    let _agent = start(&stage, &[]);
    for (address, _) in ADDRESSES {
        for path in [LIST, "/latest/meta-data/iam/security-credentials/node-role"] {
            let report = attempt(&stage, &plain.place(), &[address, "--path", path]);
            assert_eq!(report.status, Some(404), "{report:?}");
            assert!(!leaks(&report), "{report:?}");
        }
    }
}

#[test]
fn a_pod_without_a_role_gets_the_default_role_where_there_is_one() {
    let Some(stage) = stage() else { return };
    let plain = stage.add_pod(Spec::new("shop", "plain")).unwrap();
    let cart = pod(&stage, "cart");
    let _agent = start(&stage, &["--default-role", "everybody"]);
    assert_role(&get(&stage, &plain.place(), LIST), "everybody");
    assert_role(&get(&stage, &cart.place(), LIST), "cart");
}

#[test]
fn pods_on_the_nodes_network_are_told_apart_from_each_other_and_from_the_node() {
    let Some(stage) = stage() else { return };
    let pods = ["log", "mesh"].map(|name| host_pod(&stage, name));
    let plain = stage.add_pod(Spec::new("shop", "plain").on_host_network());
    let plain = plain.unwrap();
    let _agent = start(&stage, &[]);
    for (address, peer) in ADDRESSES {
        for pod in &pods {
            let report = attempt(&stage, &pod.place(), &[address]);
            assert_role(&report, &pod.spec().name);
            assert_eq!(report.peer, peer.parse().ok(), "{report:?}");
        }
        let report = attempt(&stage, &plain.place(), &[address]);
        assert_eq!(report.status, Some(404), "{report:?}");
        // What runs beside the pods is none of our business.
        let report = attempt(&stage, &stage.node().host(), &[address]);
        assert_role(&report, "node-role");
    }
}

#[test]
fn every_cgroup_of_a_pod_is_that_pod_with_either_driver_and_in_every_class() {
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let Some(stage) = stage_with(driver) else {
            return;
        };
        let agent = start(&stage, &[]);
        for (name, qos) in [
            ("guaranteed", Qos::Guaranteed),
            ("burstable", Qos::Burstable),
            ("best-effort", Qos::BestEffort),
        ] {
            let spec = Spec::new("shop", name).qos(qos).container("sidecar");
            let spec = spec.annotation("iam.amazonaws.com/role", name);
            let mut pod = stage.add_pod(spec).unwrap();
            // No manifest has it, as none has an ephemeral container at first.
            pod.add_container("late").unwrap();
            agent.wait_for_keys().unwrap();
            for container in pod.containers() {
                let place = pod.container(&container.name).unwrap();
                assert_role(&attempt(&stage, &place, &["connect"]), name);
                let child = ["nested-cgroup", "--name", "made-by-the-container"];
                assert_role(&attempt(&stage, &place, &child), name);
                wait_for_record(agent.process(), "request", |record| {
                    record["container"] == container.id.as_str() && record["uid"] == pod.uid()
                });
            }
            assert_role(&attempt(&stage, &pod.pause(), &["connect"]), name);
        }
    }
}

#[test]
fn a_static_pod_is_known_by_the_hash_that_is_its_uid() {
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let Some(stage) = stage_with(driver) else {
            return;
        };
        let spec = Spec::new("kube-system", "static").uid("0f1e2d3c4b5a69788796a5b4c3d2e1f0");
        let spec = spec.annotation("iam.amazonaws.com/role", "static");
        let pod = stage.add_pod(spec).unwrap();
        let _agent = start(&stage, &[]);
        assert_role(&attempt(&stage, &pod.place(), &["connect"]), "static");
    }
}

#[test]
fn a_pod_that_comes_while_the_agent_runs_gets_its_role_and_one_that_goes_loses_it() {
    let Some(stage) = stage() else { return };
    let agent = start(&stage, &[]);
    let cart = pod(&stage, "cart");
    agent.wait_for_keys().unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    std::fs::remove_file(stage.manifests().join("shop-cart.yaml")).unwrap();
    let gone = || attempt(&stage, &cart.place(), &["connect"]).status == Some(503);
    let gone = bpf2iam_kernel::objects::wait_until(crate::scene::PATIENCE, || Ok(gone()));
    assert!(gone.unwrap(), "a pod that is not known any more is served");
}
