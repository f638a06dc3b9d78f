//! What the operator is told of pods that keep the node's own identity, and of namespaces that want something of the
//! metadata service that cannot be meant.

use bpf2iam::{
    control,
    explain::{Explanation, Outcome},
    status::{Role, Whose},
};
use bpf2iam_standins::{
    apiserver::Kind,
    imds::{self, Effect, Rule},
};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);
const NODE: Pod = Pod::new(2);

/// What is logged of a pod that keeps the node's own role.
const KEEPS: &str = "a pod keeps the node's own role";

async fn explained(world: &World, pod: Pod) -> Explanation {
    let client = control::Client::new(&world.runtime_dir());
    let question = pod.full_name().parse().unwrap();
    client.explain(&question).await.unwrap()
}

/// The pods' namespace, with these annotations.
fn namespace(annotations: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "annotations": annotations},
    })
}

fn on_the_nodes_network(pod: Pod) -> Value {
    let mut manifest = pod.manifest(None);
    manifest["spec"]["hostNetwork"] = true.into();
    manifest
}

#[tokio::test]
async fn a_pod_that_keeps_the_nodes_role_is_logged_once_counted_and_shown() {
    let setup = Setup::default().pod(A, "a-role");
    let setup = setup.metadata(imds::Config::default());
    let world = setup.arg("--node-role-for=shop/hostNetwork").start().await;
    world.write("node.yaml", &on_the_nodes_network(NODE).to_string());
    let record = world.log.wait_for(KEEPS).await;
    assert_eq!(record["level"], "INFO");
    assert_eq!(record["pod"], NODE.full_name());
    assert_eq!(record["entry"], "shop/hostNetwork");
    let list = async || world.client(NODE).get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    assert_eq!(world.metric("bindings", &[("result", "node")]).await, 1);
    assert_eq!(world.metric("bindings", &[("result", "bound")]).await, 1);

    let status = world.status().await;
    let shown = status.pods.iter().find(|pod| pod.name == NODE.name());
    let Role::Other { identity, rule } = &shown.unwrap().role else {
        panic!("{status:?}");
    };
    assert_eq!((identity, &**rule), (&Whose::Node, "node_role"));
    let explanation = explained(&world, NODE).await;
    assert!(matches!(&explanation.cases[0].outcome, Outcome::Node { rule } if rule == "node_role"));
    assert_eq!(explanation.metadata, None);

    // Whatever changes about other pods, it is said once.
    world.write_pod(A, None);
    let list = async || world.client(A).get(ROLES).await.status;
    until(list, |status| *status == 404).await;
    assert_eq!(world.log.records(KEEPS).len(), 1);
}

/// Also where it is a status that we have no word for, and where there is none.
#[tokio::test]
async fn the_log_has_what_the_real_service_said_or_why_it_said_nothing() {
    let setup = Setup::default().metadata(imds::Config::default());
    let world = setup.arg("--node-role-for=shop/hostNetwork").start().await;
    world.write("node.yaml", &on_the_nodes_network(NODE).to_string());
    let list = async || world.client(NODE).get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    for (effect, status, outcome) in [
        (Effect::Status(429), 429, "passed"),
        (Effect::Status(500), 500, "passed"),
        (Effect::Close, 503, "upstream"),
    ] {
        world.imds().rules().set(vec![Rule::always(effect)]);
        assert_eq!(world.client(NODE).get(ROLES).await.status, status);
        let record = world.log.records("request").pop().unwrap();
        assert_eq!(record["status"], status, "{record}");
        assert_eq!(record["outcome"], outcome, "{record}");
        let error = record["error"].as_str().unwrap_or_default();
        let why = "cannot ask for what a pod of the node's own identity asks for: ";
        assert_eq!(error.contains(why), outcome == "upstream", "{record}");
    }
}

#[tokio::test]
async fn a_namespace_whose_words_cannot_be_meant_is_told_of_its_pods() {
    let wrong = json!({
        "bpf2iam.io/imds-tokens": "v2",
        "bpf2iam.io/allow-paths": "user-data meta-data/mac",
    });
    let setup = Setup::default().cluster([namespace(&wrong), A.manifest(Some("a-role"))]);
    let world = setup.start().await;
    let events = async || world.api().objects(Kind::Event);
    let event = until(events, |events| events.len() == 1).await.remove(0);
    assert_eq!(event["reason"], "InvalidNamespaceAnnotation");
    assert_eq!(event["regarding"]["name"], A.name());
    let note = event["note"].as_str().unwrap();
    for part in ["imds-tokens: \"v2\" counts as required", "\"user-data\""] {
        assert!(note.contains(part), "{note}");
    }
    let says = "a pod does not see the metadata service as its namespace wants";
    let record = world.log.wait_for(says).await;
    assert_eq!(record["reason"], "InvalidNamespaceAnnotation");

    // It has its role nevertheless, by the stricter reading.
    let client = world.client(A);
    assert_eq!(client.get(ROLES).await.status, 401);
    let token = client.token().await;
    assert_eq!(client.get_with(ROLES, &token).await.body, "a-role");
    let metadata = explained(&world, A).await.metadata.unwrap();
    assert_eq!(metadata.tokens, "required");
    assert_eq!(metadata.tokens_by, "namespace, bpf2iam.io/imds-tokens");
    assert_eq!(metadata.allowed[0].paths, "meta-data/mac");
    assert_eq!(metadata.wrong.len(), 2, "{:?}", metadata.wrong);

    world.api().put(namespace(&json!({}))).unwrap();
    let list = async || client.get(ROLES).await.body;
    until(list, |list| list == "a-role").await;
    assert_eq!(explained(&world, A).await.metadata.unwrap().wrong, [""; 0]);
}
