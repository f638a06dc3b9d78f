use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{Response, body::Bytes};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;

use crate::telemetry::testing::Logged;

use super::{
    trouble::{LATE, SOON},
    *,
};

/// What the server says.
#[derive(Clone, Debug)]
pub(in crate::kubernetes) enum Said {
    Answer(u16, Value),
    Nothing,
}

/// The same, the n-th time that it is asked; the last one again and again.
pub(in crate::kubernetes) type Script = Vec<Said>;

/// When it was asked, and for which paths.
pub(in crate::kubernetes) type Asked = Arc<Mutex<Vec<(Instant, String)>>>;

pub(in crate::kubernetes) fn server(script: Script) -> (Client, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let service = service_fn(move |request: hyper::Request<Body>| {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((Instant::now(), request.uri().to_string()));
            seen.len() - 1
        };
        let answer = script[number.min(script.len() - 1)].clone();
        async move {
            let Said::Answer(status, body) = answer else {
                return std::future::pending().await;
            };
            let body = Full::new(Bytes::from(body.to_string()));
            let answer = Response::builder().status(status).body(body).unwrap();
            Ok::<_, Infallible>(answer)
        }
    });
    (Client::new(service, "default"), asked)
}

pub(in crate::kubernetes) fn refused(code: u16, reason: &str, message: &str) -> Said {
    let status = json!({
        "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    Said::Answer(code, status)
}

pub(super) fn node(region: Option<&str>) -> Said {
    let mut labels = json!({"topology.kubernetes.io/zone": "eu-west-1a"});
    if let Some(region) = region {
        labels["topology.kubernetes.io/region"] = region.into();
    }
    Said::Answer(
        200,
        json!({"metadata": {"name": "node-1", "labels": labels}}),
    )
}

/// What is learned of a server that says this, and what was asked.
async fn learned(script: Script) -> (NodeFacts, Vec<(Instant, String)>) {
    let (client, asked) = server(script);
    let (learner, mut facts) = Learner::new(client, "node-1");
    let (signal, drain) = drain::channel();
    let task = tokio::spawn(learner.run(drain));
    let known = facts.wait_for(|facts| facts.as_ref().is_some_and(NodeFacts::are_enough));
    let known = known.await.unwrap().clone().unwrap();
    time::sleep(Duration::from_hours(1)).await;
    assert!(signal.drain(Duration::from_secs(1)).await);
    task.await.unwrap();
    let asked = asked.lock().unwrap().clone();
    (known, asked)
}

#[tokio::test(start_paused = true)]
async fn only_this_node_is_asked_for_and_only_until_it_is_known() {
    let (facts, asked) = learned(vec![node(Some("eu-west-1"))]).await;
    assert_eq!(facts.region.as_deref(), Some("eu-west-1"));
    let paths: Vec<_> = asked.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/api/v1/nodes/node-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_label_that_comes_later_is_learned_within_minutes() {
    let start = Instant::now();
    let (facts, asked) = learned(vec![node(None), node(None), node(Some("eu-west-1"))]).await;
    assert_eq!(facts.region.as_deref(), Some("eu-west-1"));
    assert_eq!(asked.len(), 3);
    let took = asked[2].0 - start;
    assert!(took >= LOOK && took <= LOOK * 3, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_so_far_is_told() {
    let (client, _asked) = server(vec![node(None)]);
    let (learner, mut facts) = Learner::new(client, "node-1");
    assert!(facts.borrow().is_none());
    let (_signal, drain) = drain::channel();
    tokio::spawn(learner.run(drain));
    let known = facts.wait_for(Option::is_some).await.unwrap().clone();
    assert_eq!(known.unwrap().zone.as_deref(), Some("eu-west-1a"));
}

#[tokio::test(start_paused = true)]
async fn each_trouble_is_said_once_and_that_it_is_over() {
    let (logged, _listens) = Logged::listen();
    let forbidden = || refused(403, "Forbidden", "nodes \"node-1\" is forbidden");
    let script = vec![
        forbidden(),
        forbidden(),
        Said::Nothing,
        refused(500, "InternalError", "etcd"),
        forbidden(),
        refused(404, "NotFound", "nodes \"node-1\" not found"),
        Said::Answer(200, json!(7)),
        node(Some("eu-west-1")),
    ];
    let start = Instant::now();
    let (_, asked) = learned(script).await;
    assert_eq!(asked.len(), 8);
    for (text, count) in [
        (
            "may not get nodes; the ClusterRole bpf2iam has to allow it",
            1,
        ),
        ("deploy/manifests/1-rbac.yaml", 1),
        ("nothing within 5s", 1),
        ("InternalError: etcd", 1),
        ("there is no node node-1; --node-name", 1),
        ("the answer is no node", 1),
        ("WARN", 5),
        ("tells of this node again failures=7", 1),
    ] {
        assert_eq!(logged.lines(text).len(), count, "{text}");
    }
    // It waits longer each time, and not for ever.
    let pauses: Vec<_> = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(pauses[0] <= SOON && pauses[6] >= LATE / 2, "{pauses:?}");
    assert!(asked[7].0 - start <= LATE * 4, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_the_server() {
    let (client, _asked) = server(vec![Said::Nothing]);
    let (learner, _facts) = Learner::new(client, "node-1");
    let (signal, drain) = drain::channel();
    let task = tokio::spawn(learner.run(drain));
    time::sleep(Duration::from_millis(1)).await;
    assert!(signal.drain(Duration::from_millis(1)).await);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_ask_nobody_waits_for_what_it_would_tell() {
    let (client, _asked) = server(vec![refused(403, "Forbidden", "no")]);
    let (learner, mut facts) = Learner::new(client, "node-1");
    let (signal, drain) = drain::channel();
    let task = tokio::spawn(learner.run(drain));
    let known = facts.wait_for(Option::is_some).await.unwrap().clone();
    assert_eq!(known, Some(NodeFacts::default()));
    assert!(signal.drain(Duration::from_secs(1)).await);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_nobody_ever_labels_nodes_the_server_is_soon_left_alone() {
    let (client, asked) = server(vec![node(None)]);
    let (learner, _facts) = Learner::new(client, "node-1");
    let (signal, drain) = drain::channel();
    let task = tokio::spawn(learner.run(drain));
    time::sleep(Duration::from_hours(24)).await;
    let times = asked.lock().unwrap().len();
    assert!((24..=60).contains(&times), "{times}");
    assert!(signal.drain(Duration::from_secs(1)).await);
    task.await.unwrap();
}
