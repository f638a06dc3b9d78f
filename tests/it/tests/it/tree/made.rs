//! A machine that is no EC2 instance: nobody is asked, and what pods need is made up from what is known of it.

use serde_json::{Value, json};

use crate::{
    client::{INFO, ROLES},
    pod::NAMESPACE,
    wait::until,
    world::{REGION, Setup, World},
};

use super::{A, B, assert_absent, assert_unavailable};

async fn start() -> World {
    let setup = Setup::default().pod(A, "a-role").pod(B, None);
    let off = ["--metadata-addr=off", "--availability-zone=eu-west-1b"];
    setup.args(off).start().await
}

// imds.md 1.6: "meta-data/placement/…", "meta-data/services/…", "dynamic/instance-identity/document"
#[tokio::test]
async fn region_zone_and_document_are_made_up() {
    let world = start().await;
    for (path, text) in [
        ("meta-data/placement/region", REGION),
        ("meta-data/placement/availability-zone/", "eu-west-1b"),
        ("meta-data/services/domain", "amazonaws.com"),
        ("meta-data/services/partition", "aws"),
        ("meta-data/placement/", "availability-zone\nregion"),
        ("dynamic/instance-identity", "document"),
        ("", "dynamic\nmeta-data"),
        ("meta-data/iam/", "info\nsecurity-credentials/"),
        ("meta-data/iam/security-credentials", "a-role"),
        ("meta-data", "iam/\nplacement/\nservices/"),
    ] {
        let answer = world.client(A).get(&format!("/latest/{path}")).await;
        assert_eq!(answer.seen(), (200, text), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain", "{path}");
        assert_eq!(answer.header("accept-ranges"), "none", "{path}");
        assert!(answer.header("last-modified").ends_with(" GMT"), "{path}");
    }
    let document = world
        .client(A)
        .get("/2016-09-02/dynamic/instance-identity/document")
        .await;
    let document = document.json();
    for (key, value) in [
        ("region", REGION),
        ("availabilityZone", "eu-west-1b"),
        ("accountId", "123456789012"),
        ("version", "2017-09-30"),
    ] {
        assert_eq!(document[key], value, "{key}: {document}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_there() {
    let world = start().await;
    for path in [
        "user-data",
        "meta-data/instance-id",
        "meta-data/instance-type",
        "meta-data/local-ipv4",
        "meta-data/iam/security-credentials-extended",
        "meta-data/identity-credentials/ec2/info",
        "meta-data/spot/instance-action",
        "meta-data/placement/region/x",
        "dynamic/instance-identity/pkcs7",
    ] {
        let path = format!("/latest/{path}");
        assert_absent(&world.client(A).get(&path).await, &path);
    }
    for path in [ROLES, INFO, "/latest/meta-data/iam/"] {
        assert_absent(&world.client(B).get(path).await, path);
    }
    let listing = world.client(B).get("/latest/meta-data/").await;
    assert_eq!(listing.seen(), (200, "placement/\nservices/"));
}

/// There is no node's identity to keep, and nobody to ask for it.
#[tokio::test]
async fn the_nodes_own_pods_are_pods_as_all_others() {
    let setup = Setup::default().pod(A, "a-role").pod(B, None);
    let world = setup
        .args(["--metadata-addr=off", "--node-role-for=shop"])
        .start()
        .await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    for path in [ROLES, "/latest/user-data"] {
        assert_absent(&world.client(B).get(path).await, path);
    }
    let region = world
        .client(B)
        .get("/latest/meta-data/placement/region")
        .await;
    assert_eq!(region.seen(), (200, REGION));
}

/// The node as the API server knows it.
fn node() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": "node-1",
            "labels": {
                "topology.kubernetes.io/region": "eu-central-1",
                "topology.kubernetes.io/zone": "eu-west-1c",
                "node.kubernetes.io/instance-type": "m6g.large",
            },
        },
        "spec": {"providerID": "aws:///eu-west-1c/i-0fedcba9876543210"},
    })
}

/// The agent in a cluster, whose API server has these objects and the pod.
fn in_cluster(objects: impl IntoIterator<Item = Value>) -> Setup {
    let namespace = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE},
    });
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": NAMESPACE},
    });
    let pod = A.manifest(Some("a-role"));
    let setup = Setup::default().cluster(objects);
    setup
        .cluster([namespace, account, pod])
        .arg("--metadata-addr=off")
}

const ZONE: &str = "/latest/meta-data/placement/availability-zone";

#[tokio::test]
async fn kubernetes_tells_what_the_operator_does_not() {
    let world = in_cluster([node()]).start().await;
    let zone = async || world.client(A).get(ZONE).await.body;
    until(zone, |zone| zone == "eu-west-1c").await;
    for (path, text) in [
        // The operator's word counts.
        ("meta-data/placement/region", REGION),
        ("meta-data/instance-id", "i-0fedcba9876543210"),
        ("meta-data/instance-type", "m6g.large"),
        (
            "meta-data",
            "iam/\ninstance-id\ninstance-type\nplacement/\nservices/",
        ),
    ] {
        let answer = world.client(A).get(&format!("/latest/{path}")).await;
        assert_eq!(answer.seen(), (200, text), "{path}");
    }
    let document = world
        .client(A)
        .get("/latest/dynamic/instance-identity/document")
        .await
        .json();
    assert_eq!(document["instanceId"], "i-0fedcba9876543210");
    assert_eq!(document["availabilityZone"], "eu-west-1c");
}

#[tokio::test]
async fn a_node_that_kubernetes_does_not_know_has_what_the_operator_says() {
    let setup = in_cluster([]).unregistered();
    let mut world = setup.open().await.unwrap();
    world.serve();
    let role = async || world.client(A).get(ROLES).await.body;
    until(role, |role| role == "a-role").await;
    let region = "/latest/meta-data/placement/region";
    assert_eq!(world.client(A).get(region).await.seen(), (200, REGION));
    assert_unavailable(&world.client(A).get(ZONE).await, "it may still be told");
    world.api().put(node()).unwrap();
    let told = async || world.client(A).get(ZONE).await.body;
    until(told, |zone| zone == "eu-west-1c").await;
}
