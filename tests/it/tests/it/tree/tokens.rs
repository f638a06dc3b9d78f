//! Tokens on the rest of the tree: the pod's own count, and none of the real service's.

use serde_json::json;

use crate::{client::ROLES, wait::until, world::World};

use super::{A, B, asked_paths, assert_absent, namespace, setup, start, warm};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const REGION: &str = "/latest/meta-data/placement/region";
const PATHS: [&str; 5] = [
    REGION,
    "/",
    "/latest/meta-data/",
    "/latest/user-data",
    ROLES,
];

// imds.md 1.6: "rewrite TTL header to the client's own remaining TTL"
#[tokio::test]
async fn the_life_that_is_told_is_that_of_the_pods_own_token() {
    let world = warm(setup().arg("--allow-path=meta-data/hostname")).await;
    let token = world.client(A).put_token(600).await.body;
    for path in PATHS.into_iter().chain(["/latest/meta-data/hostname"]) {
        let left = world.client(A).get_with(path, &token).await;
        let left: u16 = left.header(TTL).parse().unwrap();
        assert!((500..=600).contains(&left), "{path}: {left}");
        // imds.md 1.2: "no token, v1 allowed": "no TTL header"
        assert_eq!(world.client(A).get(path).await.header(TTL), "", "{path}");
    }
}

// imds.md 1.2: "token present but malformed/unknown/expired/empty"
#[tokio::test]
async fn a_bad_token_is_refused_where_none_is_needed() {
    let world = start().await;
    let foreign = world.client(B).token().await;
    let headers = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    let from_the_node = node_token(&world, headers).await;
    for token in ["", "x", &foreign, &from_the_node] {
        for path in PATHS {
            let answer = world.client(A).get_with(path, token).await;
            assert_eq!(answer.seen(), (401, ""), "{path} {token:?}");
        }
    }
    assert_eq!(asked_paths(&world), [""; 0]);
}

/// A good token of the real service, as whoever reaches it by some other way has one.
async fn node_token(world: &World, headers: &str) -> String {
    let direct = crate::client::Client::new(std::net::Ipv4Addr::LOCALHOST, world.imds().addr());
    let answer = direct.request("PUT", "/latest/api/token", headers).await;
    assert_eq!(answer.status, 200);
    answer.body
}

// imds.md 1.2: "no token, v1 disabled": "even for `GET /`"
#[tokio::test]
async fn the_operator_may_want_tokens() {
    let world = warm_with_tokens("--imds-tokens=required").await;
    assert_tokens_are_needed(&world).await;
}

async fn warm_with_tokens(arg: &str) -> World {
    let world = setup().arg(arg).start().await;
    let token = world.client(A).token().await;
    let ask = async || world.client(A).get_with(REGION, &token).await.status;
    until(ask, |status| *status == 200).await;
    world
}

async fn assert_tokens_are_needed(world: &World) {
    for path in PATHS {
        for method in ["GET", "HEAD"] {
            let answer = world.client(A).request(method, path, "").await;
            assert_eq!(answer.seen(), (401, ""), "{method} {path}");
        }
    }
    let token = world.client(A).token().await;
    let region = world.client(A).get_with(REGION, &token).await;
    assert_eq!(region.seen(), (200, "eu-west-1"));
    let keys = format!("{ROLES}a-role");
    assert_eq!(world.client(A).get(&keys).await.status, 401);
    assert_eq!(
        world.client(A).get_with(&keys, &token).await.keys().code,
        "Success"
    );
    let denied = world.client(A).get_with("/latest/user-data", &token).await;
    assert_absent(&denied, "user-data");
}

async fn assert_no_tokens_are_needed(world: &World) {
    for (path, status) in PATHS.into_iter().zip([200, 200, 200, 404, 200]) {
        assert_eq!(world.client(A).get(path).await.status, status, "{path}");
    }
}

/// Writes what the pods' namespace says, and waits until a request without a token has this status.
async fn say(world: &World, tokens: &str, status: u16) {
    let said = namespace(&json!({"bpf2iam.io/imds-tokens": tokens}));
    world.write("shop.yaml", &said);
    let ask = async || world.client(A).get(REGION).await.status;
    until(ask, |seen| *seen == status).await;
}

#[tokio::test]
async fn a_namespace_may_want_tokens_where_the_operator_does_not() {
    let world = start().await;
    assert_no_tokens_are_needed(&world).await;
    // What cannot be meant is taken for the safer word.
    for wrong in ["required", "Required ", "yes", ""] {
        say(&world, wrong, 401).await;
        assert_tokens_are_needed(&world).await;
        say(&world, "optional", 200).await;
        assert_no_tokens_are_needed(&world).await;
    }
}

#[tokio::test]
async fn a_namespace_may_do_without_tokens_where_the_operator_does_not() {
    let world = warm_with_tokens("--imds-tokens=required").await;
    say(&world, "optional", 200).await;
    assert_no_tokens_are_needed(&world).await;
    let bad = world.client(A).get_with(REGION, "x").await;
    assert_eq!(bad.seen(), (401, ""));
    say(&world, "required", 401).await;
    assert_tokens_are_needed(&world).await;
}
