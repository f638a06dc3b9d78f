//! Sockets that one process makes and another one connects. The socket's cgroup, its maker's, decides whose programs
//! run; the process that calls `connect` is who is served, if the socket's address is its pod's too.

use std::path::PathBuf;

use bpf2iam_support::{
    Place,
    client::{Report, reported},
    stage::Stage,
};

use crate::scene::{
    NODE_KEYS, PATIENCE, assert_closed, assert_role, attempt, beside, host_pod, leaks, metric, pod,
    refused_for, stage, start, text,
};

/// What comes of a socket that is made in `maker` and connected in `user`.
fn hand_over(stage: &Stage, maker: &Place, user: &Place, path: &str) -> Report {
    let meeting: PathBuf = stage.runtime_dir().with_file_name("handover.sock");
    let meeting = text(&meeting);
    let args = ["scm-receive", "--socket", meeting, "--path", path];
    let receiver = stage.client().start(user, &args).unwrap();
    let sent = attempt(stage, maker, &["scm-send", "--socket", meeting]);
    assert_eq!(sent.sent, Some(1), "{sent:?}");
    let report = reported(&receiver, PATIENCE).unwrap();
    std::fs::remove_file(meeting).unwrap();
    report
}

const LIST: &str = "/latest/meta-data/iam/security-credentials/";

#[test]
fn a_socket_of_another_pod_has_the_wrong_address_and_is_refused() {
    let Some(stage) = stage() else { return };
    let [cart, till] = ["cart", "till"].map(|name| pod(&stage, name));
    let log = host_pod(&stage, "log");
    let _agent = start(&stage, &[]);
    for (maker, user) in [(&cart, &till), (&till, &cart), (&log, &cart)] {
        let report = hand_over(&stage, &maker.place(), &user.place(), LIST);
        assert_eq!(report.status, Some(404), "{report:?}");
        // The socket is where it was made.
        let local = report.local.map(|local| local.ip());
        if !maker.spec().host_network {
            assert_eq!(local, maker.ipv4().map(Into::into), "{report:?}");
        }
    }
    let refusals = "bpf2iam_imds_refusals_total{reason=\"other_address\"}";
    assert_eq!(metric(&stage, refusals), 3);
}

#[test]
fn a_pod_on_the_nodes_network_that_connects_a_socket_of_another_pod_gets_its_own_role() {
    let Some(stage) = stage() else { return };
    let (cart, log) = (pod(&stage, "cart"), host_pod(&stage, "log"));
    let _agent = start(&stage, &[]);
    let report = hand_over(&stage, &cart.place(), &log.place(), LIST);
    assert_role(&report, "log");
}

#[test]
fn a_socket_of_a_pod_that_a_process_of_the_node_connects_is_refused() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let _agent = start(&stage, &[]);
    let report = hand_over(&stage, &cart.place(), &beside(&stage), NODE_KEYS);
    assert_closed(&report);
    assert_eq!(refused_for(&stage, "not_a_pod"), 1);
}

/// A hole, which takes a helper outside of all pods: the programs run for sockets that were made in a pod's cgroup.
#[test]
fn a_socket_from_outside_the_pods_is_not_seen_at_all() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let helper = beside(&stage).with_network_of(&cart.place());
    let report = hand_over(&stage, &helper, &cart.place(), NODE_KEYS);
    assert!(
        leaks(&report),
        "the hole is closed: say so in the documents: {report:?}"
    );
    assert_eq!(agent.kernel_counter("redirected").unwrap(), 0);
}
