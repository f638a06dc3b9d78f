//! More than the table: what the operator allows, and what a namespace does.

use bpf2iam_standins::imds::Leaves;
use serde_json::json;

use crate::{
    client::Answer,
    pod::Pod,
    wait::until,
    world::{Setup, World},
};

use super::{A, B, DOCUMENT, OPEN, asked_paths, assert_absent, namespace, setup, warm};

/// A pod of another namespace.
const ABROAD: Pod = Pod::new(7);

fn abroad() -> String {
    let mut manifest = ABROAD.manifest(None);
    manifest["metadata"]["namespace"] = "elsewhere".into();
    manifest.to_string()
}

const NEVER: [&str; 3] = [
    "user-data",
    "meta-data/iam/",
    "meta-data/identity-credentials/",
];
const PROOFS: [&str; 3] = [
    "dynamic/instance-identity/pkcs7",
    "dynamic/instance-identity/rsa2048",
    "dynamic/instance-identity/signature",
];

fn is_never(leaf: &str) -> bool {
    NEVER.iter().any(|never| leaf.starts_with(never))
}

fn is_open(leaf: &str) -> bool {
    leaf == DOCUMENT || OPEN.iter().any(|(open, _)| *open == leaf)
}

/// Every leaf but the iam tree's, which is the pod's own.
fn leaves(world: &World) -> Leaves {
    let mut leaves = world.imds().leaves();
    leaves.retain(|leaf, _| !leaf.starts_with("meta-data/iam/"));
    leaves
}

/// Asks for every leaf: `pod` must see those that are open and those that are `allowed`, and no others.
async fn assert_sees(world: &World, pod: Pod, allowed: impl Fn(&str) -> bool) {
    for (leaf, text) in leaves(world) {
        let answer = world.client(pod).get(&format!("/latest/{leaf}")).await;
        if leaf == DOCUMENT {
            assert_eq!(answer.status, 200, "{leaf}");
        } else if is_open(&leaf) || allowed(&leaf) {
            assert_eq!(answer.seen(), (200, &*text), "{leaf}");
        } else {
            assert_absent(&answer, &leaf);
        }
    }
}

// imds.md 1.6: "allow-listable"
#[tokio::test]
async fn the_operator_opens_what_is_named_and_nothing_else() {
    let setup = setup().args([
        "--allow-path=meta-data/hostname",
        "--allow-path=/latest/meta-data/block-device-mapping/*",
        "--allow-path=meta-data/network/**",
        "--allow-path=dynamic/instance-identity/pkcs7",
    ]);
    let world = warm(setup).await;
    let allowed = |leaf: &str| {
        leaf == "meta-data/hostname"
            || leaf == "dynamic/instance-identity/pkcs7"
            || leaf.starts_with("meta-data/block-device-mapping/")
            || leaf.starts_with("meta-data/network/")
    };
    for pod in [A, B] {
        assert_sees(&world, pod, allowed).await;
    }
    for path in asked_paths(&world) {
        let below = path.strip_prefix("/latest/").unwrap();
        assert!(allowed(below), "the real service was asked for {path}");
    }
    for path in [
        "/latest/meta-data/hostname/",
        "/2016-09-02/meta-data/hostname",
        "//latest/meta-data/%68ostname",
    ] {
        assert_eq!(world.client(A).get(path).await.status, 200, "{path}");
    }
    for path in [
        "/latest/meta-data/hostnames",
        "/latest/meta-data/hostname/x",
    ] {
        assert_absent(&world.client(A).get(path).await, path);
    }
}

// imds.md 1.6: "user-data", "meta-data/iam/**", "meta-data/identity-credentials/**"
#[tokio::test]
async fn no_pattern_gives_the_nodes_keys_or_secrets() {
    let world = warm(setup().args(["--allow-path=**", "--allow-path=*/iam/**"])).await;
    assert_sees(&world, B, |leaf| !is_never(leaf)).await;
    for path in [
        "/latest/user-data/",
        "/latest/meta-data/iam/security-credentials/node-role",
    ] {
        assert_absent(&world.client(A).get(path).await, path);
    }
    for path in asked_paths(&world) {
        let below = path.strip_prefix("/latest/").unwrap();
        assert!(!is_never(below), "{path}");
    }
    let top = world.client(A).get("/latest/").await;
    assert!(!top.body.contains("user-data"), "{top:?}");
    let listing = world.client(A).get("/latest/meta-data/").await;
    assert!(
        !listing.body.contains("identity-credentials"),
        "{listing:?}"
    );
}

#[test]
fn whoever_names_the_nodes_secrets_is_refused_at_start() {
    for path in [
        "user-data",
        "/latest/user-data",
        "user-data/",
        "meta-data/iam/info",
        "meta-data/iam/**",
        "meta-data/iam/security-credentials/node-role",
        "meta-data/identity-credentials/ec2/info",
        "meta-data/identity-credentials/**",
        "meta-data/../user-data",
        "%75ser-data",
        "/",
    ] {
        let setup = Setup::default().arg(format!("--allow-path={path}"));
        let refused = setup.config().unwrap_err().to_string();
        assert!(refused.contains("--allow-path"), "{path}: {refused}");
    }
}

#[tokio::test]
async fn a_namespace_opens_paths_to_its_own_pods() {
    let said =
        json!({"bpf2iam.io/allow-paths": "meta-data/hostname, meta-data/tags/**\nmeta-data/mac"});
    let setup = setup().file("abroad.yaml", "{}").file("shop.yaml", "{}");
    let world = setup.start().await;
    world.write("abroad.yaml", &abroad());
    world.write("shop.yaml", &namespace(&said));
    let hostname = "/latest/meta-data/hostname";
    let allowed = async || world.client(A).get(hostname).await.status;
    until(allowed, |status| *status == 200).await;
    until(
        async || world.client(ABROAD).get("/").await.status,
        |status| *status == 200,
    )
    .await;
    let named = |leaf: &str| {
        leaf == "meta-data/hostname"
            || leaf == "meta-data/mac"
            || leaf.starts_with("meta-data/tags/")
    };
    for pod in [A, B] {
        assert_sees(&world, pod, named).await;
    }
    assert_sees(&world, ABROAD, |_| false).await;

    world.write("shop.yaml", &namespace(&json!({})));
    let gone = async || world.client(A).get(hostname).await;
    until(gone, Answer::is_absent).await;
    assert_sees(&world, A, |_| false).await;
}

/// Proofs of who the node is are the operator's to give; keys and secrets are nobody's.
#[tokio::test]
async fn a_namespace_does_not_open_what_is_the_operators_or_nobodys() {
    for (entries, allowed) in [
        ("**", true),
        ("user-data", false),
        ("meta-data/iam/**", false),
        ("meta-data/identity-credentials/**", false),
        ("dynamic/instance-identity/pkcs7", false),
        ("dynamic/instance-identity/*", false),
        ("[", false),
    ] {
        let world = warm(setup()).await;
        let said = json!({"bpf2iam.io/allow-paths": entries});
        world.write("shop.yaml", &namespace(&said));
        // The manifests are read in order: who comes after them knows them.
        world.write_pod(Pod::new(9), None);
        let known = async || world.client(Pod::new(9)).get("/").await.status;
        until(known, |status| *status == 200).await;
        assert_sees(&world, A, |leaf| {
            allowed && !is_never(leaf) && !PROOFS.contains(&leaf)
        })
        .await;
    }
}
