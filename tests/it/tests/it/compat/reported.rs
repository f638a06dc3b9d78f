//! What users of kube2iam, kiam and the like reported: it must not happen here.
//!
//! Of security:
//!
//! | Report | Here |
//! |---|---|
//! | k2i #119, #121, #127, #130, #237; kiam #43, #116, #121: the list without its slash is the node's | `the_list_without_its_slash_is_the_pods_own` |
//! | k2i #204: a slash behind the role | `the_list_without_its_slash_is_the_pods_own`, and `tree/spelling` |
//! | ex-aws #496: `meta-data//iam/` | `the_list_without_its_slash_is_the_pods_own`, and `tree/policy` |
//! | metadataproxy #7: the iam path with garbage behind it | `garbage_behind_the_iam_path_leads_nowhere` |
//! | kiam #516: the node's credentials through the agent itself | `nothing_in_a_request_makes_another_request`; `tree/policy`; the agent's fuzzing |
//! | kiam #521: any node may ask for any pod's credentials | none: there is no server that nodes ask |
//! | k2i #152, #206: the port is reachable from the network | `roles`: who is not attested gets no byte |
//! | k2i #129, #137, #182; kiam #60, #63, #110: user data for everybody | `tree/policy` |
//! | kiam #422; gsp #359; aws-node-termination-handler #187, #247: region, zone, id and notices lost | `what_applications_need_is_there_and_notices_for_who_is_named` |
//! | k2i #8: every node may assume every role | `web_identity` |
//! | k2i #15: the role in the URL is ignored | `roles`: another role is not there |
//! | k2i #110, #239, #124, #341, #329: surprises with restrictions | `handlers`, and the agent's `pods/restriction/tests.rs` |
//! | kiam #263: kube2iam's annotation of namespaces | `handlers` |
//! | kiam #27, #473; charts #12017: privileged containers | none: it is the manifests' business |
//!
//! Of `IMDSv2`:
//!
//! | Report | Here |
//! |---|---|
//! | k2i #241, #270, #279; kiam #359, #381: no token through the proxy | `tokens_need_nobody` |
//! | k2i #282, #300, #339, #345: no own requests where tokens are required | `a_node_that_wants_tokens_gets_them_of_the_agent` |
//! | k2i #382: 401 for old clients where the node wants tokens | `a_node_that_wants_tokens_gets_them_of_the_agent` |
//! | k2i #307; kiam #398: tokens fail when many want one | `tokens_need_nobody` |
//! | k2i #353; metadataproxy #98: no PUT upstream | `tokens_need_nobody` |

use bpf2iam_standins::imds::{self, Effect, Rule, TokenPolicy};
use tokio::task::JoinSet;

use crate::{
    client::{ROLES, TOKEN},
    pod::Pod,
    wait::{AT_ONCE, timed, until},
    world::{Setup, World},
};

const NAMED: Pod = Pod::new(1);
const BARE: Pod = Pod::new(2);

const LIST: &str = "/latest/meta-data/iam/security-credentials";
const REGION: &str = "/latest/meta-data/placement/region";

async fn start(config: imds::Config) -> World {
    let setup = Setup::default().pod(NAMED, "a-role").pod(BARE, None);
    setup.metadata(config).start().await
}

/// What the real service was asked that is about the node's keys or secrets.
fn leaks(world: &World) -> Vec<String> {
    let seen = world.imds().requests().entries();
    let mut paths: Vec<_> = seen.into_iter().map(|seen| seen.path).collect();
    paths.retain(|path| imds::target_of(path).is_the_nodes_alone());
    paths
}

#[tokio::test]
async fn the_list_without_its_slash_is_the_pods_own() {
    let world = start(imds::Config::default()).await;
    for path in [
        LIST.to_owned(),
        format!("{LIST}/"),
        "/latest/meta-data//iam/security-credentials".to_owned(),
        "/latest/meta-data//iam//security-credentials/".to_owned(),
    ] {
        let list = world.client(NAMED).get(&path).await;
        assert_eq!(list.seen(), (200, "a-role"), "{path}");
        assert!(world.client(BARE).get(&path).await.is_absent(), "{path}");
    }
    for path in [format!("{LIST}/a-role/"), format!("{LIST}//a-role")] {
        let keys = world.client(NAMED).get(&path).await.keys();
        assert!(world.sts().issued(&keys.access_key_id).is_some(), "{path}");
    }
    assert_eq!(leaks(&world), [""; 0]);
}

#[tokio::test]
async fn garbage_behind_the_iam_path_leads_nowhere() {
    let world = start(imds::Config::default()).await;
    for garbage in [
        "/node-role",
        "/node-role/",
        "/a-role/x",
        "/a-role;node-role",
        "/a-role%00",
        "/a-role%3Fx",
        "s",
        "s/",
        "-extended/node-role",
        "/node-role?",
        "/*",
        "/a-role%2Fnode-role",
        "%20",
        "/../security-credentials/node-role",
        "/%2e%2e/info/node-role",
    ] {
        let answer = world.client(NAMED).get(&format!("{LIST}{garbage}")).await;
        assert!(answer.is_absent(), "{garbage}: {answer:?}");
    }
    assert_eq!(leaks(&world), [""; 0]);
}

#[tokio::test]
async fn nothing_in_a_request_makes_another_request() {
    let world = start(imds::Config::default()).await;
    let inner = format!("GET {LIST}/node-role HTTP/1.1\r\nHost: x\r\n\r\n");
    let length = inner.len();
    let ttl = "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n";
    for (method, path, headers) in [
        ("PUT", TOKEN, format!("{ttl}Content-Length: {length}\r\n")),
        ("PUT", TOKEN, ttl.to_owned()),
        ("GET", REGION, format!("Content-Length: {length}\r\n")),
        ("GET", REGION, "Connection: keep-alive\r\n".to_owned()),
        (
            "GET",
            REGION,
            "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        ),
        (
            "GET",
            REGION,
            "Upgrade: h2c\r\nConnection: Upgrade\r\n".to_owned(),
        ),
        (
            "GET",
            &format!("{REGION}%0d%0a%0d%0aGET%20{LIST}/node-role"),
            String::new(),
        ),
        ("CONNECT", "169.254.169.254:80", String::new()),
    ] {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{inner}");
        let answer = world.client(NAMED).send(&request).await;
        let keys = answer.is_some_and(|answer| answer.body.contains("AccessKeyId"));
        assert!(!keys, "{method} {path} {headers}");
    }
    assert_eq!(leaks(&world), [""; 0]);
}

#[tokio::test]
async fn what_applications_need_is_there_and_notices_for_who_is_named() {
    let notice = "/latest/meta-data/spot/instance-action";
    for (args, status) in [(&[][..], 404), (&["--allow-path=meta-data/spot/*"], 200)] {
        let setup = Setup::default().pod(BARE, None);
        let setup = setup.metadata(imds::Config::default());
        let world = args
            .iter()
            .fold(setup, |setup, arg| setup.arg(*arg))
            .start()
            .await;
        world
            .imds()
            .change("meta-data/spot/instance-action", Some("{}"));
        for path in [
            "meta-data/placement/region",
            "meta-data/placement/availability-zone",
            "meta-data/instance-id",
            "dynamic/instance-identity/document",
        ] {
            let path = format!("/latest/{path}");
            let ask = async || world.client(BARE).get(&path).await.status;
            until(ask, |status| *status == 200).await;
        }
        assert_eq!(world.client(BARE).get(notice).await.status, status);
    }
}

#[tokio::test]
async fn tokens_need_nobody() {
    for rule in [
        Rule::no_tokens(403),
        Rule::no_tokens(405),
        Rule::always(Effect::Hang),
        Rule::always(Effect::Reset),
    ] {
        let case = format!("{rule:?}");
        let config = imds::Config {
            rules: vec![rule],
            ..imds::Config::default()
        };
        let world = start(config).await;
        let mut wanting = JoinSet::new();
        for _ in 0..50 {
            let client = world.client(NAMED);
            wanting.spawn(async move {
                let token = client.token().await;
                client.get_with(ROLES, &token).await
            });
        }
        let (answers, took) = timed(wanting.join_all()).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.seen() == (200, "a-role")),
            "{case}"
        );
        assert!(took < AT_ONCE, "{case}: {took:?}");
    }
}

#[tokio::test]
async fn a_node_that_wants_tokens_gets_them_of_the_agent() {
    let world = start(imds::Config {
        tokens: TokenPolicy::Required,
        ..imds::Config::default()
    })
    .await;
    let old_client = async || world.client(BARE).get(REGION).await;
    let answer = until(old_client, |answer| answer.status == 200).await;
    assert_eq!(answer.body, "eu-west-1");
    let token = world.client(BARE).token().await;
    let new_client = world.client(BARE).get_with(REGION, &token).await;
    assert_eq!(new_client.seen(), (200, "eu-west-1"));
    let seen = world.imds().requests().entries();
    assert!(seen.iter().all(|seen| seen.status == Some(200)), "{seen:?}");
}
