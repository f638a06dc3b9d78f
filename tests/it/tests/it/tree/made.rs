//! A machine that is no EC2 instance: nobody is asked, and what pods need is made up from what is known of it.

use crate::{
    client::{INFO, ROLES},
    world::{REGION, Setup, World},
};

use super::{A, B, assert_absent};

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
