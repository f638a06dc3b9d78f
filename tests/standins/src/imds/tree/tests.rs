use std::time::Duration;

use jiff::Timestamp;

use crate::imds::keys::Rotation;

use super::*;

fn keys() -> NodeKeys {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    Rotation::new(Duration::from_hours(6)).at(start)
}

fn tree() -> Tree {
    Tree::new(&Instance::default(), &keys())
}

#[test]
fn leaves_have_no_newline_at_the_end() {
    for (path, text) in [
        ("meta-data/instance-id", "i-0a1b2c3d4e5f60718"),
        ("meta-data/placement/region", "eu-west-1"),
        ("meta-data/placement/availability-zone", "eu-west-1a"),
        ("meta-data/services/partition", "aws"),
        ("meta-data/tags/instance/Name", "AKIDNODE-node-1"),
        ("meta-data/events/maintenance/scheduled", "[]"),
        ("dynamic/fws/instance-monitoring", "disabled"),
        (
            "meta-data/hostname",
            "ip-10-0-12-34.AKIDNODE.eu-west-1.compute.internal",
        ),
    ] {
        assert_eq!(tree().read(path).as_deref(), Some(text), "{path}");
    }
}

#[test]
fn directories_list_what_lies_below() {
    for (path, listing) in [
        ("", "dynamic\nmeta-data\nuser-data"),
        ("dynamic", "fws/\ninstance-identity/"),
        ("meta-data/tags/instance", "Name"),
        ("meta-data/iam", "info\nsecurity-credentials/"),
        ("meta-data/iam/security-credentials", "node-role"),
        (
            "meta-data/placement",
            "availability-zone\navailability-zone-id\ngroup-name\nhost-id\nregion",
        ),
        ("meta-data/public-keys", "0=AKIDNODE-key"),
        ("meta-data/public-keys/0", "openssh-key"),
    ] {
        assert_eq!(tree().read(path).as_deref(), Some(listing), "{path}");
    }
    let all = tree().read("meta-data").unwrap();
    let lines: Vec<_> = all.lines().collect();
    assert!(
        lines.contains(&"instance-id") && lines.contains(&"iam/"),
        "{all}"
    );
    assert!(
        lines.contains(&"public-keys/") && !lines.contains(&"public-keys"),
        "{all}"
    );
}

#[test]
fn what_does_not_exist_is_not_there() {
    for path in [
        "meta-data/iam/security-credentials/other-role",
        "meta-data/iam/security-credentials/Node-Role",
        "meta-data/iam/security-credentials-extended",
        "meta-data/iam/security-credentials-extended/node-role",
        "meta-data/instance",
        "meta-data/instance-id/more",
        "meta-data/spot",
        "meta-data/spot/instance-action",
        "meta-data/events/recommendations/rebalance",
        "api",
    ] {
        assert_eq!(tree().read(path), None, "{path}");
    }
}

#[test]
fn credentials_are_laid_out_as_captured() {
    let keys = keys();
    let text = tree_with(&keys)
        .read("meta-data/iam/security-credentials/node-role")
        .unwrap();
    let expected = format!(
        "{{\n  \"Code\" : \"Success\",\n  \"LastUpdated\" : \"2026-01-02T03:04:05Z\",\n  \
         \"Type\" : \"AWS-HMAC\",\n  \"AccessKeyId\" : \"{}\",\n  \"SecretAccessKey\" : \"{}\",\n  \
         \"Token\" : \"{}\",\n  \"Expiration\" : \"2026-01-02T09:04:05Z\"\n}}",
        keys.access_key_id, keys.secret_access_key, keys.token
    );
    assert_eq!(text, expected);
}

fn tree_with(keys: &NodeKeys) -> Tree {
    Tree::new(&Instance::default(), keys)
}

#[test]
fn an_instance_without_a_role_has_no_iam_at_all() {
    let instance = Instance {
        role: None,
        ..Instance::default()
    };
    let tree = Tree::new(&instance, &keys());
    for path in [
        "meta-data/iam",
        "meta-data/iam/info",
        "meta-data/iam/security-credentials",
    ] {
        assert_eq!(tree.read(path), None, "{path}");
    }
}

/// What says nothing about anybody, or has a form without room for a mark.
const UNMARKED: &[&str] = &[
    "dynamic/fws/instance-monitoring",
    "meta-data/ami-launch-index",
    "meta-data/ami-manifest-path",
    "meta-data/autoscaling/target-lifecycle-state",
    "meta-data/block-device-mapping/",
    "meta-data/events/",
    "meta-data/iam/info",
    "meta-data/identity-credentials/ec2/info",
    "meta-data/instance-action",
    "meta-data/instance-id",
    "meta-data/instance-life-cycle",
    "meta-data/instance-type",
    "meta-data/local-ipv4",
    "meta-data/mac",
    "meta-data/placement/availability-zone",
    "meta-data/placement/region",
    "meta-data/profile",
    "meta-data/public-ipv4",
    "meta-data/services/",
    "meta-data/system",
];

#[test]
fn all_that_is_private_carries_the_mark_where_it_can() {
    let instance = Instance::default();
    for (path, text) in tree().leaves() {
        let below_interface = path.rsplit_once(&format!("{}/", instance.mac));
        let bare = match below_interface {
            Some((_, name)) => matches!(
                name,
                "device-number" | "local-ipv4s" | "mac" | "owner-id" | "public-ipv4s"
            ),
            None => UNMARKED.iter().any(|unmarked| path.starts_with(unmarked)),
        };
        assert_eq!(text.contains(LEAK_MARK), !bare, "{path}: {text}");
    }
}

#[test]
fn leaves_come_and_go() {
    let action = "meta-data/spot/instance-action";
    let changes = BTreeMap::from([
        (action.to_owned(), Some("{}".to_owned())),
        ("meta-data/instance-id".to_owned(), None),
    ]);
    let tree = tree().changed(&changes);
    assert_eq!(tree.read(action).as_deref(), Some("{}"));
    assert_eq!(
        tree.read("meta-data/spot").as_deref(),
        Some("instance-action")
    );
    assert_eq!(tree.read("meta-data/instance-id"), None);
}

#[test]
fn the_identity_document_tells_the_region() {
    let text = tree().read("dynamic/instance-identity/document").unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["region"], "eu-west-1");
    assert_eq!(document["accountId"], "123456789012");
    assert_eq!(document["pendingTime"], "2026-01-02T03:04:05Z");
    assert_eq!(document["privateIp"], "10.0.12.34");
    assert_eq!(document["billingProducts"][0], "bp-AKIDNODE");
    assert!(document["kernelId"].is_null());
}
