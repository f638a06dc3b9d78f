//! What concerns the agent itself: its node, the taint of that, and how far its right to make tokens goes.

use std::{thread, time::Duration};

use bpf2iam_api::{
    account::Account,
    deploy::AGENT,
    object::{self, unique},
    token::Request,
};
use serde_json::{Value, json};

use crate::{
    rules::{allow, shipped},
    scene::{NEAR, Scene, wait, wait_for_record},
    tapped::Tapped,
};

const TAINT: &str = "bpf2iam.io/agent-not-ready";
/// What the agent says where its right to tokens is not narrowed.
const WIDE: &str = "no admission policy narrows which tokens the agent may ask for";
/// What it asks for to find out.
const TO_BE_REFUSED: &str = "bpf2iam.io/to-be-refused";

/// Another account in the place of the agent's, with all that this one may, and `more`. Gives the name of its ClusterRole.
fn take_other_account(scene: &mut Scene, more: &[Value]) -> String {
    let token = scene
        .cluster
        .create_token(&scene.namespace, "default", &Request::default())
        .unwrap();
    let files = scene.stage.scratch().join("other");
    scene.account = Account::write(&scene.cluster, files, &scene.namespace, &token, NEAR).unwrap();
    let name = unique("other");
    let rules = [
        shipped(scene, AGENT),
        shipped(scene, "bpf2iam-web-identity"),
        more.to_vec(),
    ];
    allow(scene, &name, &rules.concat());
    name
}

fn forget(scene: &Scene, name: &str) {
    for kind in ["clusterrolebinding", "clusterrole"] {
        scene.cluster.kubectl(&["delete", kind, name]).unwrap();
    }
}

/// The keys of the node's taints.
fn taints(scene: &Scene) -> Vec<String> {
    let node = format!("node/{}", scene.stage.node().name());
    let node = scene.cluster.get(&[&node]).unwrap();
    let taints = node["spec"]["taints"].as_array().cloned();
    let keys = taints.unwrap_or_default().into_iter();
    keys.map(|taint| taint["key"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_ready_agent_takes_its_startup_taint_from_the_node_and_no_other() {
    let Some(mut scene) = Scene::set("tainted") else {
        return;
    };
    let patch = json!({ "apiGroups": [""], "resources": ["nodes"], "verbs": ["patch"] });
    let role = take_other_account(&mut scene, &[patch]);
    let name = scene.stage.node().name();
    let ours = |effect: &str| json!({ "key": TAINT, "effect": effect });
    let mut node = object::node(&name);
    node["spec"]["taints"] = json!([
        ours("NoSchedule"), { "key": "team", "value": "a", "effect": "NoSchedule" }, ours("PreferNoSchedule"),
    ]);
    scene.cluster.apply(&node).unwrap();
    assert_eq!(taints(&scene).iter().filter(|key| *key == TAINT).count(), 2);

    // Where the list is not as it was read, a patch like the agent's changes nothing.
    let stale = json!([
        { "op": "test", "path": "/spec/taints/0", "value": { "key": TAINT, "effect": "NoExecute" } },
        { "op": "remove", "path": "/spec/taints/0" },
    ]);
    let refused = scene
        .cluster
        .kubectl(&[
            "patch",
            "node",
            &name,
            "--type=json",
            "-p",
            &stale.to_string(),
        ])
        .unwrap_err()
        .to_string();
    assert!(refused.contains("error in our request"), "{refused}");

    let agent = scene.start(&["--startup-taint"]);
    wait("the taint to be gone", || {
        (!taints(&scene).iter().any(|key| key == TAINT)).then_some(())
    });
    assert!(taints(&scene).contains(&"team".to_owned()));
    wait_for_record(agent.process(), |record| {
        record["message"] == "took the startup taint away" && record["node"] == name
    });
    forget(&scene, &role);
}

#[test]
fn under_a_name_that_kubernetes_does_not_know_the_agent_is_not_ready() {
    let Some(scene) = Scene::set("unknown") else {
        return;
    };
    let agent = scene.spawn(&["--node-name", "no-such-node"]);
    let record = wait_for_record(&agent, |record| {
        record["level"] == "WARN" && record["error"].to_string().contains("no-such-node")
    });
    let error = record["error"].as_str().unwrap();
    assert!(error.contains("--node-name has to be its name"), "{error}");
    let waits = "not ready: waiting for this node to be known to Kubernetes";
    wait("nothing else to be waited for", || {
        (scene.stage.admin("/readyz").unwrap().trim() == waits).then_some(())
    });
    scene.cluster.apply(&object::node("no-such-node")).unwrap();
    wait("the agent to be ready", || {
        (scene.stage.admin("/readyz").unwrap().trim() == "ready").then_some(())
    });
    let delete = ["delete", "node", "no-such-node"];
    scene.cluster.kubectl(&delete).unwrap();
}

#[test]
fn an_account_that_the_policy_does_not_name_is_told() {
    let Some(mut scene) = Scene::set("wide") else {
        return;
    };
    let role = take_other_account(&mut scene, &[]);
    let agent = scene.start(&[]);
    let record = wait_for_record(agent.process(), |record| {
        record["level"] == "WARN" && record.to_string().contains(WIDE)
    });
    let account = format!("system:serviceaccount:{}:default", scene.namespace);
    assert_eq!(record["account"], account);
    forget(&scene, &role);
}

#[test]
fn the_account_that_the_policy_names_is_refused_what_it_asks_for_to_find_out() {
    let Some(scene) = Scene::set("narrow") else {
        return;
    };
    let tapped = Tapped::new(&scene);
    let agent = tapped.start(&scene, &[]);
    let request = wait("the question", || {
        let mut all = tapped.requests().into_iter();
        all.find(|one| {
            let body = one.body.as_ref();
            body.is_some_and(|body| body["spec"]["audiences"] == json!([TO_BE_REFUSED]))
        })
    });
    let path = format!("/api/v1/namespaces/{AGENT}/serviceaccounts/{AGENT}/token");
    assert_eq!(request.line, format!("POST {path}"));
    thread::sleep(Duration::from_secs(1));
    let lines = agent.process().lines();
    assert!(!lines.iter().any(|line| line.contains(WIDE)), "{lines:#?}");
    // Without a policy no token comes of it either.
    let body = request.body.unwrap();
    let refused = scene.cluster.post(None, &path, &body).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("No-Such-Pod") && said.contains("not found"),
        "{said}"
    );
}
