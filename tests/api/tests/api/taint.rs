//! How far the right goes that the startup taint takes: to patch nodes.

use anyhow::Result;
use bpf2iam_api::{
    Cluster,
    account::Account,
    helm,
    kubectl::file_of,
    object::{self, pod, unique},
    token::Request,
};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::scene::wait;

const OURS: &str = "bpf2iam.io/agent-not-ready";
/// What the policy says.
const NODE: &str = "only the node that it runs on";
const TAINTS: &str = "its own taint from a node, and neither another one nor add any";
const REST: &str = "nothing of a node but its taints";

/// An account that may do what the chart gives the agent with the startup taint, on a node with a pod of its.
struct Stage {
    cluster: Cluster,
    account: Account,
    node: String,
    rendered: NamedTempFile,
    _files: TempDir,
}

impl Stage {
    /// Under a name of its own: the account of the shipped manifests has no such right.
    fn set(cluster: Cluster) -> Result<Self> {
        let name = cluster.add_namespace("taint")?;
        let set = format!("fullnameOverride={name},startupTaint.enabled=true");
        let templates = [
            "--show-only=templates/rbac.yaml",
            "--show-only=templates/startup-taint.yaml",
        ];
        let rendered = helm::template(&name, &[&templates[..], &["--set", &set]].concat())?;
        let rendered = file_of(&rendered)?;
        cluster.apply_file(rendered.path())?;
        let node = tainted_node(&cluster)?;
        let mut agent = pod(&name, "agent", &node);
        agent["spec"]["serviceAccountName"] = json!(name);
        let uid = cluster.create(&agent)?;
        let request = Request::default().bound_to_pod("agent", &uid);
        let token = cluster.create_token(&name, &name, &request)?;
        let files = TempDir::new()?;
        let account = Account::write(&cluster, files.path(), &name, &token, cluster.url())?;
        Ok(Self {
            cluster,
            account,
            node,
            rendered,
            _files: files,
        })
    }

    /// What becomes of a patch of a node by this account.
    fn patch(&self, node: &str, patch: &Value, more: &[&str]) -> Result<String> {
        let patch = patch.to_string();
        let args = ["patch", "node", node, "--type=json", "--patch", &patch];
        self.cluster
            .kubectl_as(Some(&self.account), &[&args[..], more].concat())
    }

    /// What it is told that it may not.
    #[track_caller]
    fn assert_refused(&self, node: &str, patch: &Value, message: &str) {
        let refused = self.patch(node, patch, &["--dry-run=server"]);
        let said = refused.map_or_else(|error| error.to_string(), |done| format!("done: {done}"));
        assert!(
            said.contains("ValidatingAdmissionPolicy") && said.contains(message),
            "{patch}: {said}"
        );
    }

    fn taints(&self) -> Vec<Value> {
        let node = self.cluster.get(&["node", &self.node]).unwrap();
        node["spec"]["taints"].as_array().unwrap().clone()
    }
}

impl Drop for Stage {
    /// What is in no namespace.
    fn drop(&mut self) {
        let file = self.rendered.path().to_str().unwrap_or_default();
        let delete = [
            "delete",
            "--wait=false",
            "--ignore-not-found",
            "--filename",
            file,
        ];
        let _kept = self.cluster.kubectl(&delete).err();
    }
}

/// Where our taint is among those of a node.
const OUR_PLACE: usize = 1;

/// A node with our taint between others', that of a node which is not ready among them.
fn tainted_node(cluster: &Cluster) -> Result<String> {
    let name = unique("taint");
    let mut node = object::node(&name);
    node["metadata"]["labels"] = json!({ "team": "a" });
    node["spec"]["taints"] = json!([other("before"), ours(), other("after")]);
    cluster.apply(&node)?;
    Ok(name)
}

fn ours() -> Value {
    json!({ "key": OURS, "effect": "NoSchedule" })
}

fn other(key: &str) -> Value {
    json!({ "key": key, "value": "1", "effect": "NoSchedule" })
}

fn taints(taints: &[Value]) -> Value {
    json!([{ "op": "replace", "path": "/spec/taints", "value": taints }])
}

fn set(path: &str, value: impl Into<Value>) -> Value {
    json!([{ "op": "add", "path": path, "value": value.into() }])
}

/// What the agent might make of a node's taints.
const SPOILED: [fn(&mut Vec<Value>); 9] = [
    |taints| taints.push(other("more")),
    |taints| {
        taints.push(json!({ "key": OURS, "effect": "NoExecute" }));
    },
    |taints| taints[OUR_PLACE]["effect"] = json!("NoExecute"),
    |taints| taints[2]["value"] = json!("2"),
    |taints| taints[2]["effect"] = json!("NoExecute"),
    |taints| {
        taints.remove(2);
    },
    |taints| {
        taints.drain(..=OUR_PLACE);
    },
    |taints| {
        taints.remove(OUR_PLACE);
        taints.swap(0, 1);
    },
    Vec::clear,
];

#[test]
fn the_agent_may_take_its_own_taint_from_its_own_node_and_change_nothing_else() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let stage = Stage::set(cluster).unwrap();
    let elsewhere = tainted_node(&stage.cluster).unwrap();
    let there = stage.taints();
    assert_eq!(there[OUR_PLACE], ours(), "{there:?}");
    let mut left = there.clone();
    left.remove(OUR_PLACE);
    let good = taints(&left);
    // It does not hold from the moment that it is made.
    wait("the policy to hold", || {
        let refused = stage.patch(&elsewhere, &good, &["--dry-run=server"]).err();
        refused.filter(|error| error.to_string().contains(NODE))
    });
    for spoil in SPOILED {
        let mut spoiled = there.clone();
        spoil(&mut spoiled);
        stage.assert_refused(&stage.node, &taints(&spoiled), TAINTS);
    }
    for (path, value) in [
        ("/metadata/labels/team", json!("b")),
        ("/metadata/labels/more", json!("1")),
        ("/metadata/annotations", json!({ "more": "1" })),
        ("/metadata/finalizers", json!(["example.com/wait"])),
        ("/spec/unschedulable", json!(true)),
        ("/spec/providerID", json!("aws:///eu-west-1a/i-0")),
        ("/spec/podCIDR", json!("10.1.0.0/24")),
        ("/spec/podCIDRs", json!(["10.1.0.0/24"])),
    ] {
        stage.assert_refused(&stage.node, &set(path, value), REST);
    }
    stage.patch(&stage.node, &good, &[]).unwrap();
    assert_eq!(stage.taints(), left);
    stage.assert_refused(&stage.node, &taints(&there), TAINTS);
}
