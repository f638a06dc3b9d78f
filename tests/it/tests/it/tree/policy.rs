//! The table of who may read what: each of its rows, by what a pod is told and by what the real service was asked.

use serde_json::Value;

use crate::{client::ROLES, world::World};

use super::{A, B, DOCUMENT, OPEN, asked_paths, assert_absent, is_clean, start};

/// Each row of what pods do not see by themselves, with what is there on an instance. The real service has all of it.
const CLOSED: &[(&str, &[&str])] = &[
    // imds.md 1.6: "meta-data/identity-credentials/**"
    (
        "instance-identity role keys",
        &[
            "meta-data/identity-credentials/ec2/info",
            "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
        ],
    ),
    // imds.md 1.6: "user-data"
    ("bootstrap secrets", &["user-data"]),
    // imds.md 1.6: "dynamic/instance-identity/{pkcs7,signature,rsa2048}"
    (
        "AWS-signed proof of node identity",
        &[
            "dynamic/instance-identity/pkcs7",
            "dynamic/instance-identity/rsa2048",
            "dynamic/instance-identity/signature",
        ],
    ),
    // imds.md 1.6: "meta-data/managed-ssh-keys/**, public-keys/**"
    (
        "SSH trust data",
        &[
            "meta-data/managed-ssh-keys/signer-cert",
            "meta-data/public-keys",
            "meta-data/public-keys/0/openssh-key",
        ],
    ),
    // imds.md 1.6: "meta-data/tags/instance/**"
    ("owner-chosen values", &["meta-data/tags/instance/Name"]),
    // imds.md 1.6: "meta-data/network/**, mac, local-ipv4, hostname, …"
    (
        "topology",
        &[
            "meta-data/ami-id",
            "meta-data/ami-launch-index",
            "meta-data/ami-manifest-path",
            "meta-data/block-device-mapping/ami",
            "meta-data/hostname",
            "meta-data/local-hostname",
            "meta-data/local-ipv4",
            "meta-data/mac",
            "meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/local-ipv4s",
            "meta-data/network/interfaces/macs/02:29:96:8f:6a:2d/vpc-id",
            "meta-data/placement/group-name",
            "meta-data/placement/host-id",
            "meta-data/product-codes",
            "meta-data/public-hostname",
            "meta-data/public-ipv4",
            "meta-data/reservation-id",
            "meta-data/security-groups",
        ],
    ),
    // imds.md 1.6: "meta-data/{spot,events,autoscaling}/**"
    (
        "interruption notices",
        &[
            "meta-data/autoscaling/target-lifecycle-state",
            "meta-data/events/maintenance/scheduled",
            "meta-data/spot/instance-action",
            "meta-data/spot/termination-time",
        ],
    ),
    // imds.md 1.6: "meta-data/system, dynamic/fws/**, rest"
    (
        "the rest",
        &[
            "dynamic/fws/instance-monitoring",
            "meta-data/instance-action",
            "meta-data/profile",
            "meta-data/system",
            "meta-data/nothing-yet",
            "nothing-yet",
        ],
    ),
];

/// An agent whose node is about to be interrupted.
async fn start_interrupted() -> World {
    let world = start().await;
    for leaf in [
        "meta-data/spot/instance-action",
        "meta-data/spot/termination-time",
        "meta-data/nothing-yet",
        "nothing-yet",
    ] {
        world.imds().change(leaf, Some("AKIDNODE"));
    }
    world
}

/// Ways to write a path below a version, all of which mean the same to the real service.
fn spellings(path: &str) -> Vec<String> {
    let (first, rest) = path.split_at(1);
    let encoded = format!("%{:02x}{rest}", first.as_bytes()[0]);
    vec![
        format!("/latest/{path}"),
        format!("/latest/{path}/"),
        format!("/2021-03-23/{path}"),
        format!("//latest///{path}"),
        format!("/latest/./{path}/."),
        format!("/latest/meta-data/placement/../../{path}"),
        format!("/latest/meta-data/iam/security-credentials/a-role/../../../../{path}"),
        format!("/latest/{encoded}"),
        format!("/%6Catest/{}", path.replace('/', "%2F")),
        format!("/latest/dynamic%2f%2e%2E/{path}?token=x"),
        format!("http://169.254.169.254/latest/{path}"),
    ]
}

#[tokio::test]
async fn what_pods_do_not_see_by_themselves_is_not_there_in_any_spelling_and_never_asked_for() {
    let world = start_interrupted().await;
    let token = world.client(A).token().await;
    for (row, paths) in CLOSED {
        for path in *paths {
            for spelling in spellings(path) {
                let case = format!("{row}: {spelling}");
                assert_absent(&world.client(A).get(&spelling).await, &case);
            }
            let plain = format!("/latest/{path}");
            let asked = [
                world.client(A).get_with(&plain, &token).await,
                world.client(B).get(&plain).await,
                world.client(A).request("POST", &plain, "").await,
            ];
            for answer in asked {
                assert_absent(&answer, &format!("{row}: {path}"));
            }
            let head = world.client(A).request("HEAD", &plain, "").await;
            assert_eq!(head.seen(), (404, ""), "{row}: {path}");
        }
    }
    assert_eq!(asked_paths(&world), [""; 0], "the real service was asked");
}

// imds.md 1.6: "meta-data/iam/** incl. iam/info, security-credentials*, -extended": "terminate locally, never proxy"
#[tokio::test]
async fn the_nodes_iam_tree_is_never_asked_for() {
    let world = start().await;
    for path in [
        "meta-data/iam/security-credentials/node-role",
        "meta-data/iam/security-credentials/node-role/",
        "meta-data/iam/security-credentials-extended",
        "meta-data/iam/security-credentials-extended/",
        "meta-data/iam/security-credentials-extended/a-role",
        "meta-data/iam/security-credentials-extended/node-role",
        "meta-data/iam/anything",
        "meta-data/iam/info/x",
    ] {
        for spelling in spellings(path) {
            assert_absent(&world.client(A).get(&spelling).await, &spelling);
            assert_absent(&world.client(B).get(&spelling).await, &spelling);
        }
    }
    let info = "/latest/meta-data/iam/info";
    for (path, own) in [(ROLES, "a-role"), (info, "instance-profile/a-role")] {
        let answer = world.client(A).get(path).await;
        assert!(
            answer.status == 200 && answer.body.contains(own),
            "{answer:?}"
        );
    }
    let keys = world.client(A).keys("a-role").await;
    assert!(world.sts().issued(&keys.access_key_id).is_some());
    assert_eq!(asked_paths(&world), [""; 0], "the real service was asked");
}

// imds.md 1.6: "meta-data/{instance-id,instance-type,instance-life-cycle}",
// "meta-data/placement/{region,availability-zone,availability-zone-id}", "meta-data/services/{domain,partition}"
#[tokio::test]
async fn what_all_pods_need_is_served_to_all() {
    let world = start().await;
    let token = world.client(A).token().await;
    for (path, text) in OPEN {
        let path = format!("/latest/{path}");
        for answer in [
            world.client(A).get(&path).await,
            world.client(A).get_with(&path, &token).await,
            world.client(B).get(&path).await,
        ] {
            assert_eq!(answer.seen(), (200, text), "{path}");
        }
        assert_absent(&world.client(A).get(&format!("{path}/more")).await, &path);
    }
    let labels = [("route", "metadata"), ("status", "200")];
    assert!(world.metric("imds_requests_total", &labels).await >= 24);
    let requests = world.log.requests(&B.full_name());
    let served = ("metadata".to_owned(), 200, "served".to_owned());
    assert!(requests.contains(&served), "{requests:?}");
}

// imds.md 1.6: "dynamic/instance-identity/document"
#[tokio::test]
async fn the_identity_document_says_where_the_node_is_and_not_who() {
    let world = start().await;
    for client in [world.client(A), world.client(B)] {
        let answer = client.get(&format!("/latest/{DOCUMENT}")).await;
        assert_eq!(answer.status, 200);
        assert!(is_clean(&answer), "{answer:?}");
        let document = answer.json();
        for (key, value) in [
            ("accountId", "123456789012"),
            ("availabilityZone", "eu-west-1a"),
            ("region", "eu-west-1"),
            ("version", "2017-09-30"),
        ] {
            assert_eq!(document[key], value, "{key}");
        }
        for secret in [
            "privateIp",
            "imageId",
            "billingProducts",
            "marketplaceProductCodes",
        ] {
            // Null, where a client might want the key.
            assert_eq!(
                document.get(secret),
                Some(&Value::Null),
                "{secret}: {answer:?}"
            );
        }
        let time = document["pendingTime"].as_str().unwrap();
        assert!(
            time.parse::<jiff::Timestamp>().is_ok(),
            "Go wants RFC 3339: {time}"
        );
        // imds.md 1.5: "two-space indent, ` : ` separators"
        assert!(
            answer.body.starts_with("{\n  \"accountId\" : \""),
            "{answer:?}"
        );
        assert!(answer.body.ends_with("\"\n}"), "{answer:?}");
    }
}

/// Whatever the stand-in may learn to say: what is not in the table is not there.
#[tokio::test]
async fn every_leaf_that_there_is_is_open_or_not_there() {
    let world = start_interrupted().await;
    for leaf in world.imds().leaves().into_keys() {
        let answer = world.client(A).get(&format!("/latest/{leaf}")).await;
        if leaf == DOCUMENT || OPEN.iter().any(|(open, _)| *open == leaf) {
            assert_eq!(answer.status, 200, "{leaf}");
            assert!(is_clean(&answer), "{leaf}: {answer:?}");
        } else if leaf != "meta-data/iam/info" {
            assert_absent(&answer, &leaf);
        }
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}
