//! The agent's own node in Kubernetes: it has to be there by the name that the agent was given, and loses its startup taint.

use bpf2iam_standins::apiserver::{Kind, Rule, Verb};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{NODE, Setup, World},
};

const A: Pod = Pod::new(1);

/// The taint that the agent takes away.
const KEY: &str = "bpf2iam.io/agent-not-ready";
const REMOVED: &str = "took the startup taint away";
/// What the agent waits for.
const KNOWN: &str = "this node to be known to Kubernetes";

/// A node with these taints.
fn node(taints: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"taints": taints}})
}

/// A cluster with a pod that has a role.
fn cluster() -> Setup {
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE},
    });
    Setup::default().cluster([namespace, account, A.manifest(Some("a-role"))])
}

fn taints(world: &World) -> Value {
    let node = world.api().get(Kind::Node, "", NODE).unwrap();
    node["spec"]["taints"].clone()
}

/// How often the API server was asked to change a node.
fn patches(world: &World) -> usize {
    let requests = world.api().requests().entries();
    requests
        .iter()
        .filter(|seen| seen.verb == Some(Verb::Patch) && seen.path.starts_with("/api/v1/nodes/"))
        .count()
}

async fn looks(world: &World, outcome: &str) -> u64 {
    let labels = [("outcome", outcome)];
    world.metric("startup_taint_looks_total", &labels).await
}

fn other() -> Value {
    json!({"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"})
}

fn ours(effect: &str) -> Value {
    json!({"key": KEY, "effect": effect})
}

#[tokio::test]
async fn the_startup_taint_goes_once_the_agent_is_ready_and_others_stay() {
    let tainted = node(&json!([ours("NoSchedule"), other(), ours("NoExecute")]));
    let setup = cluster().cluster([tainted]).arg("--startup-taint");
    let mut world = setup.open().await.unwrap();
    let pending = async || world.status().await.pending;
    until(pending, |pending| {
        *pending == ["the programs to be attached"]
    })
    .await;
    assert_eq!(taints(&world).as_array().unwrap().len(), 3);
    world.serve();
    let record = world.log.wait_for(REMOVED).await;
    assert_eq!(
        (&record["node"], &record["taint"]),
        (&json!(NODE), &json!(KEY))
    );
    assert_eq!(taints(&world), json!([other()]));
    assert_eq!((looks(&world, "removed").await, patches(&world)), (1, 1));
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
}

#[tokio::test]
async fn a_node_without_the_taint_is_not_changed_nor_is_one_that_keeps_it() {
    let clean = cluster().cluster([node(&json!([other()]))]);
    let world = clean.arg("--startup-taint").start().await;
    until(async || looks(&world, "clean").await, |looks| *looks == 1).await;
    assert_eq!((patches(&world), taints(&world)), (0, json!([other()])));

    let keeps = cluster().cluster([node(&json!([ours("NoSchedule")]))]);
    let world = keeps.start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert_eq!(
        (patches(&world), taints(&world)),
        (0, json!([ours("NoSchedule")]))
    );
}

#[tokio::test]
async fn a_taint_that_cannot_be_removed_keeps_nobody_from_their_role() {
    let setup = cluster().cluster([node(&json!([ours("NoSchedule")]))]);
    let mut world = setup.arg("--startup-taint").open().await.unwrap();
    let path = format!("/api/v1/nodes/{NODE}");
    let rules = world.api().rules();
    rules.add(Rule::status(403).for_verb(Verb::Patch).for_path(&path));
    world.serve();
    let warning = "cannot take the startup taint from this node; no pod is scheduled to it that does not tolerate it";
    let record = world.log.wait_for(warning).await;
    assert_eq!(record["level"], "WARN");
    let error = record["error"].as_str().unwrap();
    assert!(
        error.contains("may not patch nodes, which --startup-taint needs"),
        "{error}"
    );
    let role = async || world.client(A).get(ROLES).await.body;
    until(role, |role| role == "a-role").await;
    assert!(world.status().await.pending.is_empty());
    until(
        async || looks(&world, "failed").await,
        |failed| *failed >= 2,
    )
    .await;
    assert_eq!(world.log.records(warning).len(), 1);
    world.api().rules().clear();
    world.log.wait_for(REMOVED).await;
    assert_eq!(taints(&world), json!([]));
}

#[tokio::test]
async fn a_node_that_kubernetes_does_not_know_is_not_ready_and_says_which_flag_names_it() {
    let mut world = cluster().unregistered().open().await.unwrap();
    world.serve();
    let unknown =
        "cannot find this node in Kubernetes; until it is there, no pod is known to be on it";
    let record = world.log.wait_for(unknown).await;
    assert_eq!(record["level"], "WARN");
    let error = record["error"].as_str().unwrap();
    assert!(
        error.contains("there is no node node-1; --node-name has to be its name"),
        "{error}"
    );
    let pending = async || world.status().await.pending;
    until(pending, |pending| *pending == [KNOWN]).await;
    assert_eq!(world.admin("/readyz").await.status, 503);
    world.api().put(node(&json!([]))).unwrap();
    until(pending, Vec::is_empty).await;
    assert_eq!(world.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn who_may_not_look_for_its_node_goes_on_with_one_warning() {
    let setup = cluster().unregistered();
    // Without a metadata service the node is asked for its region besides.
    let setup = setup.metadata(bpf2iam_standins::imds::Config::default());
    let mut world = setup.open().await.unwrap();
    let path = format!("/api/v1/nodes/{NODE}");
    world.api().rules().add(Rule::status(403).for_path(&path));
    world.serve();
    world.settles(None).await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    let warnings = world.log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    let text = warnings[0].to_string();
    for part in ["--node-name", "may not get nodes", "rbac.yaml"] {
        assert!(text.contains(part), "{text}");
    }
}
