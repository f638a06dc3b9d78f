use std::time::{Duration, Instant};

use bpf2iam_standins::apiserver::{Effect, Failure, Kind, Rule, Verb};

use super::{PODS, pod, start};

#[tokio::test]
async fn failures_have_the_status_of_a_real_server() {
    let (server, client) = start();
    let user = "system:serviceaccount:kube-system:bpf2iam";
    let forbidden = format!(
        "pods is forbidden: User \"{user}\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
    );
    for (code, reason, message, retry_after) in [
        (401, "Unauthorized", "Unauthorized", None),
        (403, "Forbidden", forbidden.as_str(), None),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
            None,
        ),
        (
            410,
            "Expired",
            "The resourceVersion for the provided list is too old.",
            None,
        ),
        (
            429,
            "TooManyRequests",
            "Too many requests, please try again later.",
            Some("1"),
        ),
        (
            500,
            "InternalError",
            "Internal error occurred: etcdserver: request timed out",
            None,
        ),
        (
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
            None,
        ),
        (418, "", "I'm a teapot", None),
    ] {
        server.rules().set(vec![Rule::status(code).times(1)]);
        let answer = client.get(PODS).await;
        let expected = (code, reason.to_owned(), message.to_owned());
        assert_eq!(answer.refusal(), expected);
        let header = answer.headers.get("retry-after");
        assert_eq!(header.map(|value| value.to_str().unwrap()), retry_after);
        assert_eq!(client.get(PODS).await.status, 200);
    }
}

#[tokio::test]
async fn failures_come_in_the_order_of_their_script() {
    let (server, client) = start();
    let list = |rule: Rule| rule.for_verb(Verb::List).times(1);
    server.rules().set(vec![
        list(Rule::always(Effect::Pass)),
        list(Rule::status(500)),
        list(Rule::always(Effect::Close)),
        list(Rule::always(Effect::Status(
            Failure::new(403)
                .message("denied by policy")
                .reason("Policy"),
        ))),
    ]);
    assert_eq!(client.get(PODS).await.status, 200);
    assert_eq!(client.get(PODS).await.status, 500);
    assert_eq!(client.get("/version").await.status, 200, "another verb");
    assert!(client.send("GET", PODS, "").await.is_err());
    let expected = (403, "Policy".to_owned(), "denied by policy".to_owned());
    assert_eq!(client.get(PODS).await.refusal(), expected);
    assert_eq!(client.get(PODS).await.status, 200);
    let statuses: Vec<_> = server
        .requests()
        .entries()
        .iter()
        .map(|seen| seen.status)
        .collect();
    let expected = [Some(200), Some(500), Some(200), None, Some(403), Some(200)];
    assert_eq!(statuses, expected);
}

#[tokio::test]
async fn answers_can_be_cut_garbled_and_slow() {
    let (server, client) = start();
    server.put(pod("shop", "web", "n")).unwrap();
    let whole = client.get(PODS).await.body;
    server.rules().add(Rule::always(Effect::Cut).times(1));
    assert!(client.send("GET", PODS, "").await.is_err());
    server.rules().add(Rule::always(Effect::Garbage).times(1));
    assert!(client.get(PODS).await.body.starts_with(b"<html>"));
    let pause = Duration::from_millis(60);
    for effect in [Effect::Slow(pause), Effect::Latency(pause)] {
        server.rules().add(Rule::always(effect).times(1));
        let begin = Instant::now();
        assert_eq!(client.get(PODS).await.body, whole);
        assert!(begin.elapsed() >= pause);
    }
}

#[tokio::test]
async fn what_is_asked_and_never_answered_is_known() {
    let (server, client) = start();
    server.rules().add(Rule::always(Effect::Hang));
    tokio::select! {
        answer = client.get(PODS) => panic!("there was an answer: {answer:?}"),
        seen = server.requests().wait_for(|seen| seen.len() == 1) => assert_eq!(seen[0].status, None),
    }
    server.rules().clear();
    assert_eq!(client.get(PODS).await.status, 200);
}

#[tokio::test]
async fn a_closed_door_refuses_everybody_and_opens_at_the_same_address() {
    let (server, client) = start();
    server.put(pod("shop", "web", "n")).unwrap();
    let mut lines = client.watch("/api/v1/pods?watch=true").await;
    assert_eq!(lines.brief().await, "ADDED web");
    for _ in 0..2 {
        server.refuse().await;
        assert!(client.send("GET", PODS, "").await.is_err());
        assert!(tokio::net::TcpStream::connect(server.addr()).await.is_err());
    }
    assert!(lines.next().await.is_err());
    server.watches().wait_for(Kind::Pod, 0).await;
    server.accept().unwrap();
    server.accept().unwrap();
    let list = client.get(PODS).await.json();
    assert_eq!(list["items"][0]["metadata"]["name"], "web");
}
