//! The rest of the metadata tree, by way of a metadata service that gives everything to everybody: what pods see of it,
//! to the byte, and what is asked of it.
//!
//! Rows of the contract are named where they are tested.
//!
//! | Of | Rows | Where |
//! |---|---|---|
//! | 1.1, 1.2 | tokens, methods | `tokens` beside this module; on this tree: `tokens`, `wire` |
//! | 1.3 | headers and bodies by kind | `wire`; user data, which only the node's own pods see: `node`; 400: `tokens` beside this module |
//! | 1.4 | paths, slashes, listings | `spelling`, `listing`; role names: `spelling`, and `iam` beside this module |
//! | 1.5 | the iam tree | `iam` beside this module |
//! | 1.6 | what pods may see | `policy`, `allow`; how the real service is asked: `upstream` |
//!
//! What becomes of it when the real service misbehaves is in `outage`, the pods that have the node's own identity are in
//! `node`, and machines without such a service in `made`.

mod allow;
mod listing;
mod made;
mod node;
mod outage;
mod policy;
mod spelling;
mod tokens;
mod upstream;
mod wire;

use bpf2iam_standins::{
    LEAK_MARK,
    imds::{self, Bearing, Instance, Seen},
};
use serde_json::{Value, json};

use crate::{
    client::Answer,
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);

const DOCUMENT: &str = "dynamic/instance-identity/document";

/// What every pod may read, and what it is on the stand-in.
const OPEN: [(&str, &str); 8] = [
    ("meta-data/instance-id", "i-0a1b2c3d4e5f60718"),
    ("meta-data/instance-life-cycle", "on-demand"),
    ("meta-data/instance-type", "m5.large"),
    ("meta-data/placement/availability-zone", "eu-west-1a"),
    ("meta-data/placement/availability-zone-id", "euw1-az1"),
    ("meta-data/placement/region", "eu-west-1"),
    ("meta-data/services/domain", "amazonaws.com"),
    ("meta-data/services/partition", "aws"),
];

/// A pod with a role, one without, and the node's metadata service.
fn setup() -> Setup {
    Setup::default()
        .pod(A, "a-role")
        .pod(B, None)
        .metadata(imds::Config::default())
}

/// The agent of [`setup`], once it knows what it asks for by itself.
async fn start() -> World {
    warm(setup()).await
}

async fn warm(setup: Setup) -> World {
    let world = setup.start().await;
    world.knows_the_instance().await;
    // The last answers may be on their way to the agent.
    for path in OPEN.iter().map(|(path, _)| *path).chain([DOCUMENT]) {
        let ask = async || world.client(A).get(&format!("/latest/{path}")).await.status;
        until(ask, |status| *status == 200).await;
    }
    world
}

/// What was asked of the real service beside what all pods may read.
fn asked(world: &World) -> Vec<Seen> {
    let mut seen = world.imds().requests().entries();
    seen.retain(|seen| !is_usual(seen));
    seen
}

/// The paths of these.
fn asked_paths(world: &World) -> Vec<String> {
    asked(world).into_iter().map(|seen| seen.path).collect()
}

/// Whether it is a token of the agent's own, or something that never changes, asked for in the agent's own name.
fn is_usual(seen: &Seen) -> bool {
    let is_token = seen.method == "PUT" && seen.path == "/latest/api/token";
    let path = seen.path.strip_prefix("/latest/").unwrap_or_default();
    let is_open = path == DOCUMENT || OPEN.iter().any(|(open, _)| *open == path);
    is_token || (seen.method == "GET" && is_open && seen.token == Bearing::Good)
}

/// Whether nothing of the node is in it that pods should not see without leave.
fn is_clean(answer: &Answer) -> bool {
    let instance = Instance::default();
    let mut private = instance.unmarked().into_iter().chain([LEAK_MARK]);
    !private.any(|text| answer.body.contains(text))
}

/// What EC2 would answer where nothing is.
fn assert_absent(answer: &Answer, case: &str) {
    assert!(answer.is_absent(), "{case}: {answer:?}");
}

/// A 503 as clients bear it.
fn assert_unavailable(answer: &Answer, case: &str) {
    assert_eq!(answer.seen(), (503, ""), "{case}");
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "0"),
        ("location", ""),
        ("last-modified", ""),
    ] {
        assert_eq!(answer.header(name), value, "{case}: {name}");
    }
}

/// The pods' namespace with these annotations, as a manifest.
fn namespace(annotations: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "annotations": annotations},
    })
    .to_string()
}
