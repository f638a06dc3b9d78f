//! Table K: which pods are known, by what the API server says of them.

use bpf2iam_standins::apiserver::{Change, Kind};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::until,
    world::World,
};

use super::{cluster, told, with};

const RUNNING: Pod = Pod::new(1);
const PENDING: Pod = Pod::new(2);
const SUCCEEDED: Pod = Pod::new(3);
const FAILED: Pod = Pod::new(4);
const WITHOUT_IP: Pod = Pod::new(5);
const LATER: Pod = Pod::new(6);
const PHASE: &str = "/status/phase";
const IPS: &str = "/status/podIPs";

/// `pod` with a role that is called like it, and in this phase.
fn pod(pod: Pod, phase: &str) -> Value {
    with(pod.manifest(Some(&pod.name())), PHASE, phase.into())
}

#[tokio::test]
async fn table_k_what_runs_or_will_is_known() {
    let world = cluster([
        pod(RUNNING, "Running"),
        pod(PENDING, "Pending"),
        pod(SUCCEEDED, "Succeeded"),
        pod(FAILED, "Failed"),
        with(pod(WITHOUT_IP, "Pending"), IPS, json!([])),
    ])
    .arg("--default-role=fallback")
    .start()
    .await;
    for (case, pod, expected) in [
        ("Running+IP", RUNNING, "200 pod-1"),
        ("Pending+IP", PENDING, "200 pod-2"),
        ("Succeeded", SUCCEEDED, "404"),
        ("Failed", FAILED, "404"),
        // kube2iam does not index it. Here it is known by its cgroup, and asks before the API knows its address.
        ("no IP", WITHOUT_IP, "200 pod-5"),
    ] {
        assert_eq!(told(&world, pod, "").await, expected, "{case}");
    }
    assert_eq!(world.refusals("pod_elsewhere").await, 2);
    assert_eq!(world.calls("fallback"), 0);
    let request = format!("GET {ROLES} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = world.stranger().send(&request).await;
    assert!(answer.is_none(), "unknown IP: {answer:?}");
}

/// kube2iam refuses both, unless it may ask the API server, which may not know either. Addresses tell nobody's role
/// here.
#[tokio::test]
async fn table_k_two_pods_with_one_address_have_their_own_roles() {
    let both = json!([{"ip": RUNNING.address()}, {"ip": LATER.address()}]);
    let world = cluster([
        with(pod(RUNNING, "Running"), IPS, both.clone()),
        with(pod(LATER, "Running"), IPS, both),
    ])
    .start()
    .await;
    for (pod, name) in [(RUNNING, "pod-1"), (LATER, "pod-6")] {
        assert_eq!(told(&world, pod, "").await, format!("200 {name}"));
        let keys = told(&world, pod, name).await;
        assert_eq!(keys, format!("200 keys of {name}"));
    }
    for (pod, other) in [(RUNNING, "pod-6"), (LATER, "pod-1")] {
        assert_eq!(told(&world, pod, other).await, "404");
    }
}

/// How often something was wrong with the watch on pods.
async fn wrong(world: &World) -> u64 {
    let pods = [("kind", "pods")];
    world.metric("watch_failures_total", &pods).await
        + world.metric("watch_invalid_objects_total", &pods).await
}

#[tokio::test]
async fn table_k_objects_that_are_none_do_no_harm() {
    let world = cluster([pod(RUNNING, "Running")]).start().await;
    // A watch on the pods of a node has nothing without this field.
    let spec = json!({"nodeName": "node-1"});
    let metadata = json!({"name": RUNNING.name(), "namespace": NAMESPACE});
    let bare = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec});
    for (case, change, object) in [
        (
            "wrong object type",
            Change::Modified,
            with(bare.clone(), "/spec/containers", "a text".into()),
        ),
        ("delete tombstone", Change::Deleted, bare),
    ] {
        let before = wrong(&world).await;
        world.api().watches().wait_for(Kind::Pod, 1).await;
        world.api().tell(change, object).unwrap();
        until(async || wrong(&world).await, |wrong| *wrong > before).await;
        assert_eq!(told(&world, RUNNING, "").await, "200 pod-1", "{case}");
        world.api().put(pod(LATER, "Running")).unwrap();
        let known = async || world.status().await.pods.len();
        until(known, |pods| *pods == 2).await;
        assert_eq!(told(&world, LATER, "").await, "200 pod-6", "{case}");
        let deleted = world.api().delete(Kind::Pod, NAMESPACE, &LATER.name());
        deleted.unwrap();
        until(known, |pods| *pods == 1).await;
    }
}
