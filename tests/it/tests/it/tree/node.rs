//! Pods that have the node's own identity, because the operator says so: the real service answers them, and hears them
//! as they speak. Nobody else gets there.

use std::net::Ipv4Addr;

use bpf2iam_standins::imds::{Bearing, Effect, Rule, Seen};
use serde_json::{Value, json};

use crate::{
    client::{Client, INFO, ROLES, TOKEN},
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{Setup, World},
};

use super::{A, B, assert_absent, assert_unavailable, is_clean, setup};

const NODE_AGENT: Pod = Pod::new(21);
const HOST: Pod = Pod::new(22);
const OTHER: Pod = Pod::new(23);

/// `pod` with this in its spec, and in this namespace.
fn with(pod: Pod, namespace: &str, field: &str, value: Value) -> String {
    let mut manifest = pod.manifest(None);
    manifest["metadata"]["namespace"] = namespace.into();
    manifest["spec"][field] = value;
    manifest.to_string()
}

fn node_agent() -> String {
    with(
        NODE_AGENT,
        NAMESPACE,
        "serviceAccountName",
        "node-agent".into(),
    )
}

/// As [`super::start`], with a pod of the node.
async fn start() -> World {
    start_with(setup().arg("--node-role-for=shop/node-agent")).await
}

async fn start_with(setup: Setup) -> World {
    let world = setup.start().await;
    world.write("node-agent.yaml", &node_agent());
    let known = async || world.client(NODE_AGENT).get("/").await.status;
    until(known, |status| *status == 200).await;
    world.knows_the_instance().await;
    world.imds().requests().clear();
    world
}

/// The last request of the real service.
fn last(world: &World) -> Seen {
    world
        .imds()
        .requests()
        .entries()
        .pop()
        .expect("there is one")
}

/// The real service, without anybody between.
fn direct(world: &World) -> Client {
    Client::new(Ipv4Addr::LOCALHOST, world.imds().addr())
}

// imds.md 1.3: "user-data"
#[tokio::test]
async fn the_nodes_pods_see_all_that_the_node_sees_and_as_it_sees_it() {
    let world = start().await;
    let client = world.client(NODE_AGENT);
    let mut paths: Vec<_> = world.imds().leaves().into_keys().collect();
    paths.extend(["", "meta-data/", "meta-data/iam/", "dynamic", "nothing"].map(str::to_owned));
    for path in paths {
        let path = format!("/latest/{path}");
        let (told, real) = (client.get(&path).await, direct(&world).get(&path).await);
        assert_eq!(told.seen(), real.seen(), "{path}");
        for name in [
            "content-type",
            "content-length",
            "last-modified",
            "accept-ranges",
            "server",
        ] {
            assert_eq!(told.header(name), real.header(name), "{path}: {name}");
        }
        assert_eq!(told.header("connection"), "close", "{path}");
    }
    let data = client.get("/latest/user-data").await;
    assert!(data.body.contains("AKIDNODE-BOOTSTRAP"));
    assert_eq!(data.header("content-type"), "application/octet-stream");
    let keys = client.get(&format!("{ROLES}node-role")).await.keys();
    assert_eq!(keys.access_key_id, world.imds().access_key_id());
}

#[tokio::test]
async fn their_requests_come_as_they_were_written() {
    let world = start().await;
    let client = world.client(NODE_AGENT);
    for (method, target, path, query) in [
        ("GET", "//latest//meta-data/", "//latest//meta-data/", None),
        (
            "GET",
            "/latest/%75ser-data?a=b&c",
            "/latest/%75ser-data",
            Some("a=b&c"),
        ),
        (
            "GET",
            "/2009-04-04/meta-data/instance-id/",
            "/2009-04-04/meta-data/instance-id/",
            None,
        ),
        ("GET", "/nothing/here", "/nothing/here", None),
        ("HEAD", "/latest/user-data", "/latest/user-data", None),
        ("POST", "/latest/meta-data/", "/latest/meta-data/", None),
        ("DELETE", TOKEN, TOKEN, None),
    ] {
        let headers = "X-Special: 1\r\nUser-Agent: node-agent/1\r\n";
        let answer = client.request(method, target, headers).await;
        let seen = last(&world);
        assert_eq!((&*seen.method, &*seen.path), (method, path));
        assert_eq!(seen.query.as_deref(), query, "{target}");
        assert_eq!(Some(answer.status), seen.status, "{method} {target}");
        for header in ["x-special", "user-agent", "host"] {
            assert!(
                seen.headers.contains(&header.to_owned()),
                "{target}: {header}"
            );
        }
        assert_eq!(
            seen.token,
            Bearing::None,
            "the agent's own token is no client's"
        );
    }
    let gone = client.request("DELETE", TOKEN, "").await;
    assert_eq!(gone.header("allow"), "OPTIONS, PUT");
}

#[tokio::test]
async fn their_tokens_are_the_real_services() {
    let world = start().await;
    let client = world.client(NODE_AGENT);
    let token = client.put_token(600).await;
    assert_eq!((token.status, token.body.len()), (200, 56));
    assert_eq!(token.header("x-aws-ec2-metadata-token-ttl-seconds"), "600");
    assert_eq!(last(&world).method, "PUT");
    let list = client.get_with(ROLES, &token.body).await;
    assert_eq!(list.seen(), (200, "node-role"));
    assert_eq!(last(&world).token, Bearing::Good);
    let left = list.header("x-aws-ec2-metadata-token-ttl-seconds");
    assert!((590..=600).contains(&left.parse().unwrap()), "{left}");
    let straight = direct(&world).get_with(ROLES, &token.body).await;
    assert_eq!(straight.status, 200, "it is the real service's own");
    for bad in ["", "x", &world.client(A).token().await] {
        assert_eq!(
            client.get_with(ROLES, bad).await.seen(),
            (401, ""),
            "{bad:?}"
        );
    }
    // Whoever else gets hold of it has nothing.
    assert_eq!(
        world.client(A).get_with(ROLES, &token.body).await.seen(),
        (401, "")
    );
}

// imds.md 1.1: "`X-Forwarded-For` present on PUT"
#[tokio::test]
async fn their_proxies_are_the_real_services_business() {
    let world = start().await;
    let client = world.client(NODE_AGENT);
    let token = client.token().await;
    let forwarded = "X-Forwarded-For: 10.0.0.1\r\n";
    let asks = format!("{forwarded}X-aws-ec2-metadata-token-ttl-seconds: 60\r\n");
    let shows = format!("{forwarded}X-aws-ec2-metadata-token: {token}\r\n");
    for (method, path, headers, status) in [
        ("PUT", TOKEN, &*asks, 403),
        ("GET", ROLES, &*shows, 403),
        ("GET", ROLES, forwarded, 200),
    ] {
        let answer = client.request(method, path, headers).await;
        assert_eq!(answer.status, status, "{method} {headers}");
        let seen = last(&world);
        assert_eq!(seen.status, Some(status));
        assert!(
            seen.headers.contains(&"x-forwarded-for".to_owned()),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn what_the_real_service_refuses_is_refused() {
    let world = start().await;
    for status in [400, 401, 403, 404, 405, 429, 500, 503] {
        world
            .imds()
            .rules()
            .set(vec![Rule::always(Effect::Status(status))]);
        let (told, real) = (
            world.client(NODE_AGENT).get(ROLES).await,
            direct(&world).get(ROLES).await,
        );
        assert_eq!(told.seen(), real.seen());
        assert_eq!(
            told.header("content-type"),
            real.header("content-type"),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_real_service_that_is_away_is_a_503() {
    let mut world = start().await;
    for effect in [
        Effect::Noise,
        Effect::Cut,
        Effect::Close,
        Effect::Reset,
        Effect::Hang,
    ] {
        world.imds().rules().set(vec![Rule::always(effect)]);
        for (method, path) in [("GET", ROLES), ("GET", "/latest/user-data"), ("PUT", TOKEN)] {
            let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
            let answer = world.client(NODE_AGENT).request(method, path, ttl).await;
            assert_unavailable(&answer, &format!("{effect:?}: {method} {path}"));
        }
    }
    world.imds_host().stop().await;
    let answer = world.client(NODE_AGENT).get(ROLES).await;
    assert_unavailable(&answer, "nobody is there");
    // Never the identity of somebody else instead.
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
}

/// Everything that only the node may see.
const SECRETS: [&str; 5] = [
    "/latest/user-data",
    "/latest/meta-data/iam/security-credentials/node-role",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/latest/dynamic/instance-identity/pkcs7",
    "/latest/meta-data/local-ipv4",
];

async fn assert_is_ordinary(world: &World, pod: Pod, role: Option<&str>) {
    let client = world.client(pod);
    let known = async || client.get("/").await.status;
    until(known, |status| *status == 200).await;
    for path in SECRETS {
        assert_absent(&client.get(path).await, path);
    }
    let list = client.get(ROLES).await;
    match role {
        Some(role) => assert_eq!(list.seen(), (200, role)),
        None => assert_absent(&list, ROLES),
    }
    assert!(is_clean(&client.get(INFO).await));
    let token = client.token().await;
    assert_eq!(
        direct(world).get_with(ROLES, &token).await.status,
        401,
        "ours"
    );
}

#[tokio::test]
async fn nobody_else_has_the_nodes_identity() {
    let world = start().await;
    assert_is_ordinary(&world, A, Some("a-role")).await;
    assert_is_ordinary(&world, B, None).await;
    // The name of the ServiceAccount in another namespace, another name here, and a name in an annotation.
    let abroad = with(HOST, "elsewhere", "serviceAccountName", "node-agent".into());
    world.write("host.yaml", &abroad);
    assert_is_ordinary(&world, HOST, None).await;
    let mut annotated = OTHER.manifest(None);
    annotated["spec"]["serviceAccountName"] = "node-agent-2".into();
    annotated["metadata"]["annotations"] = json!({
        "bpf2iam.io/node-role": "true",
        "node-role-for": "shop/node-agent",
    });
    world.write("other.yaml", &annotated.to_string());
    assert_is_ordinary(&world, OTHER, None).await;
}

#[tokio::test]
async fn by_default_they_are_the_systems_pods_on_the_nodes_network() {
    let world = setup().start().await;
    world.write(
        "host.yaml",
        &with(HOST, "kube-system", "hostNetwork", true.into()),
    );
    world.write(
        "other.yaml",
        &with(OTHER, "kube-system", "hostNetwork", false.into()),
    );
    world.write(
        "node-agent.yaml",
        &with(NODE_AGENT, NAMESPACE, "hostNetwork", true.into()),
    );
    let list = async || world.client(HOST).get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    assert_eq!(
        world.client(HOST).get("/latest/user-data").await.status,
        200
    );
    assert_is_ordinary(&world, OTHER, None).await;
    assert_is_ordinary(&world, NODE_AGENT, None).await;
}

#[tokio::test]
async fn the_operator_may_name_nobody_or_others_instead() {
    for (flag, all) in [("none", false), ("shop", true), ("shop/hostNetwork", false)] {
        let world = setup().arg(format!("--node-role-for={flag}")).start().await;
        world.write(
            "host.yaml",
            &with(HOST, "kube-system", "hostNetwork", true.into()),
        );
        assert_is_ordinary(&world, HOST, None).await;
        world.write("node-agent.yaml", &node_agent());
        if all {
            let list = async || world.client(NODE_AGENT).get(ROLES).await.body;
            until(list, |list| list == "node-role").await;
        } else {
            assert_is_ordinary(&world, NODE_AGENT, None).await;
        }
    }
}

/// A role that a pod names itself is less than the node's, and comes first.
#[tokio::test]
async fn a_pod_with_a_role_of_its_own_has_that_one() {
    let world = start().await;
    let mut manifest: Value = serde_json::from_str(&node_agent()).unwrap();
    manifest["metadata"]["annotations"] = json!({"iam.amazonaws.com/role": "b-role"});
    world.write("node-agent.yaml", &manifest.to_string());
    let list = async || world.client(NODE_AGENT).get(ROLES).await.body;
    until(list, |list| list == "b-role").await;
    assert_is_ordinary(&world, NODE_AGENT, Some("b-role")).await;
}

/// What is said about tokens is said to whoever has them of us.
#[tokio::test]
async fn whether_they_need_tokens_is_for_the_real_service_to_say() {
    let required = ["--imds-tokens=required", "--node-role-for=shop/node-agent"];
    let world = setup().args(required).start().await;
    world.write("node-agent.yaml", &node_agent());
    let list = async || world.client(NODE_AGENT).get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    assert_eq!(world.client(A).get(ROLES).await.status, 401);
}
