//! The real service is away, or talks nonsense: pods get what does not change, or are told to come again. Never junk.

use std::time::Duration;

use bpf2iam_standins::imds::{self, Effect, Rule};
use tokio::task::JoinSet;

use crate::{
    client::{Answer, ROLES},
    wait::{AT_ONCE, timed, until},
    world::World,
};

use super::{A, B, DOCUMENT, OPEN, assert_absent, assert_unavailable, setup, warm};

const REGION: &str = "/latest/meta-data/placement/region";
const HOSTNAME: &str = "/latest/meta-data/hostname";

async fn start() -> World {
    warm(setup().arg("--allow-path=meta-data/hostname")).await
}

/// An agent that has never had an answer of the real service, which misbehaves.
async fn start_with(rules: Vec<Rule>) -> World {
    let setup = setup().arg("--allow-path=meta-data/hostname");
    let config = imds::Config {
        rules,
        ..imds::Config::default()
    };
    setup.metadata(config).start().await
}

// imds.md 1.3: "503 (ours)"
#[tokio::test]
async fn what_never_changes_outlives_the_real_service() {
    let mut world = start().await;
    world.imds_host().stop().await;
    for (path, text) in OPEN {
        let answer = world.client(A).get(&format!("/latest/{path}")).await;
        assert_eq!(answer.seen(), (200, text), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain");
        assert!(answer.header("last-modified").ends_with(" GMT"));
    }
    let document = world.client(A).get(&format!("/latest/{DOCUMENT}")).await;
    assert_eq!(document.json()["region"], "eu-west-1");
    assert_unavailable(&world.client(A).get(HOSTNAME).await, HOSTNAME);
    // What is ours alone is as ever, and what is nobody's too.
    assert_eq!(world.client(A).get("/").await.status, 200);
    assert_eq!(world.client(A).token().await.len(), 56);
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert_absent(&world.client(B).get(ROLES).await, ROLES);
    assert_absent(&world.client(A).get("/latest/user-data").await, "user-data");

    world.imds_host().start().await;
    let back = async || world.client(A).get(HOSTNAME).await.status;
    until(back, |status| *status == 200).await;
}

#[tokio::test]
async fn what_was_never_heard_is_told_as_soon_as_it_is() {
    let world = start_with(vec![Rule::always(Effect::Close)]).await;
    for path in [
        REGION,
        HOSTNAME,
        "/latest/dynamic/instance-identity/document",
    ] {
        assert_unavailable(&world.client(A).get(path).await, path);
    }
    assert_eq!(world.refusals("upstream").await, 3);
    let unavailable = ("metadata".to_owned(), 503, "upstream".to_owned());
    let requests = world.log.requests(&A.full_name());
    assert_eq!(requests, vec![unavailable; 3]);
    let silent = "pods get no metadata of the instance but what is remembered";
    assert_eq!(world.log.records(silent).len(), 1, "said once");

    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    world.imds().rules().clear();
    let told = async || world.client(A).get(REGION).await;
    let told = until(told, |answer| answer.status == 200).await;
    assert_eq!(told.body, "eu-west-1");
    world
        .log
        .wait_for("the metadata service answers again")
        .await;
}

/// Every way to give something else than an answer.
const FAULTS: [Effect; 22] = [
    Effect::Status(400),
    Effect::Status(401),
    Effect::Status(403),
    Effect::Status(405),
    Effect::Status(429),
    Effect::Status(500),
    Effect::Status(502),
    Effect::Status(503),
    Effect::Redirect,
    Effect::Astray,
    Effect::Empty,
    Effect::Garbage,
    Effect::Noise,
    Effect::Oversized(1 << 20),
    Effect::Length(4000),
    Effect::Cut,
    Effect::Slow(Duration::from_secs(30)),
    Effect::Close,
    Effect::Reset,
    Effect::Hang,
    Effect::Latency(Duration::from_secs(30)),
    Effect::RefuseTokens,
];

/// All of these end as 503, and none takes longer than a client waits.
fn assert_no_junk(answer: &Answer, took: Duration, case: &str) {
    assert_unavailable(answer, case);
    assert!(took < AT_ONCE, "{case}: {took:?}");
}

/// Paths that are the node's alone, of those that the real service was asked for.
fn secrets_asked_for(world: &World) -> Vec<String> {
    let seen = world.imds().requests().entries();
    let mut paths: Vec<_> = seen.into_iter().map(|seen| seen.path).collect();
    paths.retain(|path| imds::target_of(path).is_the_nodes_alone());
    paths
}

#[tokio::test]
async fn a_fault_of_the_real_service_is_a_503_and_never_an_answer() {
    let mut junk = Vec::new();
    for effect in FAULTS {
        let world = start_with(vec![Rule::always(effect).for_method("GET")]).await;
        let document = "/latest/dynamic/instance-identity/document";
        let mut asking = JoinSet::new();
        for path in [REGION, document, "/latest/meta-data/"] {
            let client = world.client(A);
            asking.spawn(async move { (path, timed(client.get(path)).await) });
        }
        for (path, (answer, took)) in asking.join_all().await {
            if answer.status == 503 {
                assert_no_junk(&answer, took, &format!("{effect:?}: {path}"));
            } else {
                junk.push(format!("{effect:?}: {path}: {:?}", answer.seen()));
            }
        }
        // Whoever followed a redirect would be seen there.
        assert_eq!(secrets_asked_for(&world), [""; 0], "{effect:?}");
    }
    assert!(junk.is_empty(), "{junk:#?}");
}

#[tokio::test]
async fn what_never_changes_survives_every_fault() {
    let world = start().await;
    for effect in FAULTS {
        world.imds().rules().set(vec![Rule::always(effect)]);
        for (path, text) in [OPEN[0], OPEN[5]] {
            let answer = world.client(A).get(&format!("/latest/{path}")).await;
            assert_eq!(answer.seen(), (200, text), "{effect:?}: {path}");
        }
    }
}

// imds.md 1.4: "Old Xen types 301'd slashless directories to an absolute URL"
#[tokio::test]
async fn an_old_instance_type_redirects_directories_and_pods_do_not_see_it() {
    let old = |path: &str| Rule::always(Effect::Redirect).for_path(path);
    let world = start_with(vec![
        old("/latest/meta-data"),
        old("/latest/meta-data/placement"),
        old("/latest/dynamic"),
    ])
    .await;
    for (path, listing) in [
        (
            "/latest/meta-data/placement",
            "availability-zone\navailability-zone-id\nregion",
        ),
        ("/latest/dynamic/", "instance-identity/"),
    ] {
        let answer = world.client(A).get(path).await;
        assert_eq!(answer.seen(), (200, listing), "{path}");
    }
}

#[tokio::test]
async fn chunks_are_an_answer_as_every_other() {
    let world = start_with(vec![Rule::always(Effect::Chunked)]).await;
    let told = async || world.client(A).get(REGION).await;
    let told = until(told, |answer| answer.status == 200).await;
    assert_eq!(told.body, "eu-west-1");
    assert_eq!(told.header("content-length"), "9");
    assert_eq!(told.header("transfer-encoding"), "");
}

#[tokio::test]
async fn what_comes_behind_an_answer_is_not_part_of_it() {
    let world = start_with(vec![Rule::always(Effect::Length(4)).for_path(HOSTNAME)]).await;
    let told = async || world.client(A).get(HOSTNAME).await;
    let told = until(told, |answer| answer.status == 200).await;
    assert_eq!(told.body, "ip-1");
}

/// As where the limit of hops is too low, where a firewall takes PUT for an attack, or on a service that is not EC2's.
#[tokio::test]
async fn where_there_are_no_tokens_the_agent_asks_without_or_says_503() {
    for status in [400, 403, 404, 405, 500, 503] {
        let world = start_with(vec![Rule::no_tokens(status)]).await;
        let (answer, took) = timed(world.client(A).get(REGION)).await;
        match answer.status {
            200 => assert_eq!(answer.body, "eu-west-1", "{status}"),
            _ => assert_no_junk(&answer, took, &status.to_string()),
        }
        let token = world.client(A).token().await;
        assert_eq!(token.len(), 56, "a pod's token needs nobody: {status}");
        world.imds().rules().clear();
        let told = async || world.client(A).get(REGION).await.status;
        until(told, |status| *status == 200).await;
    }
}

#[tokio::test]
async fn a_token_that_the_real_service_has_forgotten_costs_no_client_its_answer() {
    let world = start().await;
    world.imds().expire_tokens();
    assert_eq!(world.client(A).get(HOSTNAME).await.status, 200);
    world.imds().expire_tokens();
    let listing = world.client(A).get("/latest/meta-data/").await;
    assert_eq!(listing.status, 200);
}
