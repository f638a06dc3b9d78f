//! How the real service is asked: in the agent's own name, for nothing but the path, as seldom as can be.

use std::time::Duration;

use bpf2iam_standins::imds::{Bearing, Effect, Rule};
use tokio::task::JoinSet;

use crate::{pod::Pod, world::World};

use super::{A, B, asked, asked_paths, assert_absent, setup, warm};

const HOSTNAME: &str = "/latest/meta-data/hostname";

async fn start() -> World {
    let allowed = [
        "--allow-path=meta-data/hostname",
        "--allow-path=meta-data/security-groups",
        "--allow-path=meta-data/spot/**",
    ];
    warm(setup().args(allowed)).await
}

/// What clients, and the proxies before them, may put into a request.
const CLIENTS_OWN: &str = "User-Agent: aws-sdk-nodejs/2.1 secret-agent\r\n\
    X-Client: 1\r\nCookie: a=b\r\nAuthorization: Basic eDp5\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip\r\nRange: bytes=0-1\r\nIf-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    If-None-Match: \"x\"\r\nVia: 1.1 proxy\r\nForwarded: for=10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\n\
    Connection: keep-alive, X-Client\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
    Proxy-Authorization: Basic eDp5\r\nX-HTTP-Method-Override: PUT\r\n";

// imds.md 1.6: "Upstream proxying: strip client token, fetch with the agent's own token, drop `X-Forwarded-*`, `Via`,
// hop-by-hop headers"
#[tokio::test]
async fn nothing_of_a_client_reaches_the_real_service() {
    let world = start().await;
    let token = world.client(A).token().await;
    let with_token = format!("{CLIENTS_OWN}X-aws-ec2-metadata-token: {token}\r\n");
    let forwarded = format!("{CLIENTS_OWN}X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Host: x\r\n");
    for (path, headers) in [
        (
            "//2016-09-02/meta-data/../meta-data/%68ostname/?a=b",
            &with_token,
        ),
        (
            "http://example.com/latest/meta-data/security-groups/",
            &forwarded,
        ),
    ] {
        let answer = world.client(A).request("GET", path, headers).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let seen = asked(&world);
    let paths: Vec<_> = seen.iter().map(|seen| &*seen.path).collect();
    assert_eq!(paths, [HOSTNAME, "/latest/meta-data/security-groups"]);
    for seen in world.imds().requests().entries() {
        let mut headers = seen.headers.clone();
        headers.sort_unstable();
        let own: &[&str] = match &*seen.method {
            "PUT" => &["host", "x-aws-ec2-metadata-token-ttl-seconds"],
            _ => &["host", "x-aws-ec2-metadata-token"],
        };
        assert_eq!(headers, own, "{seen:?}");
        assert_eq!(seen.query, None, "{seen:?}");
        assert_eq!(
            seen.token == Bearing::Good,
            seen.method == "GET",
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn the_agent_has_one_token_for_all_that_it_asks() {
    let world = start().await;
    for path in [HOSTNAME, "/latest/meta-data/", "/latest/dynamic/"] {
        assert_eq!(world.client(A).get(path).await.status, 200);
    }
    let seen = world.imds().requests().entries();
    let puts = seen.iter().filter(|seen| seen.method == "PUT").count();
    assert_eq!(puts, 1);
}

#[tokio::test]
async fn what_was_asked_for_a_moment_ago_is_not_asked_for_again() {
    let world = start().await;
    for pod in [A, B, A, B] {
        assert_eq!(world.client(pod).get(HOSTNAME).await.status, 200);
    }
    assert_eq!(asked_paths(&world), [HOSTNAME]);
}

#[tokio::test]
async fn many_who_ask_at_once_are_one_request() {
    let world = start().await;
    let late = Rule::always(Effect::Latency(Duration::from_millis(200)));
    world.imds().rules().add(late.for_path(HOSTNAME));
    let mut asking = JoinSet::new();
    for number in 0..40 {
        let client = world.client(if number % 2 == 0 { A } else { B });
        asking.spawn(async move { client.get(HOSTNAME).await });
    }
    // One of them goes away before its answer comes.
    let mut gone = world.client(A).connect().await.unwrap();
    let request = format!("GET {HOSTNAME} HTTP/1.1\r\nHost: x\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut gone, request.as_bytes())
        .await
        .unwrap();
    drop(gone);
    for answer in asking.join_all().await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(asked_paths(&world), [HOSTNAME]);
}

// imds.md 1.6: "meta-data/{spot,events,autoscaling}/**": notices are about what happens now
#[tokio::test]
async fn notices_are_never_remembered() {
    let world = start().await;
    let leaf = "meta-data/spot/instance-action";
    let path = format!("/latest/{leaf}");
    let (pod, other) = (world.client(A), world.client(B));
    assert_absent(&pod.get(&path).await, "before");
    for action in [r#"{"action":"stop"}"#, r#"{"action":"terminate"}"#] {
        world.imds().change(leaf, Some(action));
        assert_eq!(pod.get(&path).await.seen(), (200, action));
        assert_eq!(other.get(&path).await.seen(), (200, action));
    }
    world.imds().change(leaf, None);
    assert_absent(&pod.get(&path).await, "after");
    assert_eq!(asked_paths(&world), vec![path; 6]);
}

#[tokio::test]
async fn a_pod_that_is_not_known_learns_nothing() {
    let world = start().await;
    world.imds().requests().clear();
    let unknown = Pod::new(66);
    for path in [
        "/latest/meta-data/placement/region",
        HOSTNAME,
        "/latest/user-data",
    ] {
        let answer = world.client(unknown).get(path).await;
        assert!(matches!(answer.status, 404 | 503), "{path}: {answer:?}");
        assert!(!answer.body.contains("eu-west-1"), "{path}");
    }
    assert_eq!(world.imds().requests().entries(), []);
}
