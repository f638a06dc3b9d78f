//! Table I, and kiam's proxy: what of a request reaches the real metadata service.

use bpf2iam_standins::imds::{self, Effect, Rule};

use crate::{
    client::{ROLES, TOKEN},
    pod::{NAMESPACE, Pod},
    wait::until,
    world::{Setup, World},
};

const NAMED: Pod = Pod::new(1);
const BARE: Pod = Pod::new(2);
const NODE: Pod = Pod::new(3);

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
const HOSTNAME: &str = "/latest/meta-data/hostname";

/// A pod with a role, one without, and one that has the node's identity.
async fn start(args: &[&str]) -> World {
    let setup = Setup::default().pod(NAMED, "a-role").pod(BARE, None);
    let setup = setup.metadata(imds::Config::default());
    let setup = args.iter().fold(setup, |setup, arg| setup.arg(*arg));
    let node = format!("--node-role-for={NAMESPACE}/proxied");
    let world = setup.arg(node).start().await;
    let mut manifest = NODE.manifest(None);
    manifest["spec"]["serviceAccountName"] = "proxied".into();
    world.write("node.yaml", &manifest.to_string());
    let list = async || world.client(NODE).get(ROLES).await.body;
    until(list, |list| list == "node-role").await;
    world.knows_the_instance().await;
    world.imds().requests().clear();
    world
}

/// Whether the real service has seen this header since it was last asked.
fn has_seen(world: &World, header: &str) -> bool {
    let seen = world.imds().requests().entries();
    world.imds().requests().clear();
    assert!(!seen.is_empty(), "it was not asked");
    seen.iter()
        .any(|seen| seen.headers.contains(&header.to_owned()))
}

/// kube2iam is a proxy, and says so in each plain request; EC2 has no tokens for proxies. This one says nothing of its
/// own, and what a client says is the client's.
#[tokio::test]
async fn table_i_no_request_of_the_nodes_pods_is_a_proxys() {
    let world = start(&[]).await;
    let client = world.client(NODE);
    let token = client.token().await;
    assert!(
        !has_seen(&world, "x-forwarded-for"),
        "PUT /latest/api/token"
    );
    let with_token = client.get_with(ROLES, &token).await;
    assert_eq!(with_token.status, 200, "GET with token header");
    assert!(
        !has_seen(&world, "x-forwarded-for"),
        "GET with token header"
    );
    assert_eq!(client.get(ROLES).await.status, 200, "plain GET");
    assert!(!has_seen(&world, "x-forwarded-for"), "plain GET");
    let behind_a_proxy = format!("{TTL}X-Forwarded-For: 10.0.0.1\r\n");
    let answer = client.request("PUT", TOKEN, &behind_a_proxy).await;
    assert_eq!(answer.status, 403, "a client behind a proxy of its own");
    assert!(has_seen(&world, "x-forwarded-for"));
}

/// Other pods have a service of their own.
#[tokio::test]
async fn table_i_no_request_of_another_pod_is_passed_on() {
    let world = start(&[]).await;
    let client = world.client(NAMED);
    let token = client.token().await;
    assert_eq!(client.get_with(ROLES, &token).await.seen(), (200, "a-role"));
    assert_eq!(client.get(ROLES).await.seen(), (200, "a-role"));
    let unknown = client.get_with("/latest/anything", &token).await;
    assert!(unknown.is_absent(), "{unknown:?}");
    assert_eq!(world.imds().requests().entries(), []);
}

/// kiam's expression is looked for anywhere in a path, so that `region` opens `/latest/user-data/region` as well. Ours
/// is the whole path, and never opens what is the node's.
#[tokio::test]
async fn kiams_proxy_lets_through_what_is_named() {
    for (args, hostname, mac) in [
        (&[][..], 404, 404),
        (&["--allow-path=meta-data/host*"], 200, 404),
        (&["--allow-path=meta-data/*"], 200, 200),
        (&["--allow-path=meta-data/ho"], 404, 404),
    ] {
        let world = start(args).await;
        for (path, status) in [
            (HOSTNAME, hostname),
            ("/latest/meta-data/mac", mac),
            ("/latest/user-data", 404),
            ("/latest/user-data/meta-data/hostname", 404),
            ("/meta-data/hostname", 404),
        ] {
            let answer = world.client(BARE).get(path).await;
            assert_eq!(answer.status, status, "{args:?}, {path}");
        }
        for path in ["/latest/api/token", "/latest/api/token?x"] {
            let answer = world.client(BARE).request("PUT", path, TTL).await;
            assert_eq!(answer.status, 200, "PUT is for all: {args:?}");
        }
    }
}

#[test]
fn kiams_expressions_without_a_beginning_are_refused() {
    for path in ["ostname", "foo/bar", "^/latest/meta-data/foo$"] {
        let setup = Setup::default().arg(format!("--allow-path={path}"));
        assert!(setup.config().is_err(), "{path}");
    }
}

/// kiam passes a 403 of the real service through. To pods it would say nothing; to the node's own it is theirs.
#[tokio::test]
async fn kiams_upstream_403_is_the_nodes_own_pods_alone() {
    let world = start(&["--allow-path=meta-data/hostname"]).await;
    world.imds().rules().add(Rule::always(Effect::Status(403)));
    for (pod, status) in [(NODE, 403), (BARE, 503)] {
        let answer = world.client(pod).get(HOSTNAME).await;
        assert_eq!(answer.seen(), (status, ""));
    }
}

/// Section 3.4 of the contract: kiam's paths, and what is there now.
#[tokio::test]
async fn kiams_paths_are_those_of_ec2_now() {
    let world = start(&[]).await;
    let list = "/latest/meta-data/iam/security-credentials";
    for (case, pod, method, path, status, body) in [
        // They were on the same port, for pods to see.
        ("ping", NAMED, "GET", "/ping", 404, None),
        ("health", NAMED, "GET", "/health", 404, None),
        ("deep health", NAMED, "GET", "/health?deep=x", 404, None),
        // kiam: 301. Some clients follow none.
        (
            "list without a slash",
            NAMED,
            "GET",
            list,
            200,
            Some("a-role"),
        ),
        (
            "list",
            NAMED,
            "GET",
            &*format!("{list}/"),
            200,
            Some("a-role"),
        ),
        ("list, no role", BARE, "GET", &format!("{list}/"), 404, None),
        (
            "credentials",
            NAMED,
            "GET",
            &format!("{list}/a-role"),
            200,
            None,
        ),
        // kiam: 500 for both.
        (
            "other role",
            NAMED,
            "GET",
            &format!("{list}/other"),
            404,
            None,
        ),
        ("no role", BARE, "GET", &format!("{list}/a-role"), 404, None),
        ("token", NAMED, "PUT", TOKEN, 200, None),
        // kiam passes all of them on. EC2 has tokens in one place.
        ("token elsewhere", NAMED, "PUT", "/x/api/token", 404, None),
        (
            "token, dated",
            NAMED,
            "PUT",
            "/2021-03-23/api/token",
            403,
            None,
        ),
        ("the rest", NAMED, "GET", "/latest/dynamic/fws", 404, None),
    ] {
        let answer = world.client(pod).request(method, path, TTL).await;
        assert_eq!(answer.status, status, "{case}: {answer:?}");
        if let Some(body) = body {
            assert_eq!(answer.body, body, "{case}");
        }
        // kiam's 404 shows its expression.
        assert!(status != 404 || answer.is_absent(), "{case}: {answer:?}");
    }
    assert_eq!(world.imds().requests().entries(), []);
}
