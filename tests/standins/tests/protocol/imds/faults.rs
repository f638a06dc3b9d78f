//! The metadata service where it misbehaves: each way as a client sees it. Where a client does, it goes on.

use std::time::{Duration, Instant};

use bpf2iam_standins::{
    imds::{Bearing, Config, Effect, Imds, Rule, TokenPolicy, VERSIONS, target_of},
    listen::Address,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::wire::{request, send, send_unix};

use super::{LIST, TOKEN, TTL, ask, get, start, token};

const REGION: &str = "/latest/meta-data/placement/region";

fn faulty(effect: Effect) -> Imds {
    let imds = start(TokenPolicy::Optional);
    imds.rules().add(Rule::always(effect));
    imds
}

/// Everything that comes back until the connection ends.
async fn raw(imds: &Imds, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(imds.addr()).await.unwrap();
    let request = request("GET", path, "", "");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn answers_are_replaced() {
    for (effect, status, kind, body) in [
        (
            Effect::Status(503),
            503,
            "text/html",
            "<h1>503 - Service Unavailable</h1>",
        ),
        (
            Effect::Status(404),
            404,
            "text/html",
            "<h1>404 - Not Found</h1>",
        ),
        (Effect::Status(401), 401, "text/plain", ""),
        (Effect::Redirect, 301, "text/plain", ""),
        (Effect::Empty, 200, "text/plain", ""),
        (Effect::Garbage, 200, "text/html", "It works!"),
        (Effect::Oversized(5000), 200, "text/plain", "xxxxx"),
        (Effect::Pass, 200, "text/plain", "eu-west-1"),
    ] {
        let imds = faulty(effect);
        let answer = get(&imds, REGION).await;
        assert_eq!(answer.status, status, "{effect:?}");
        assert_eq!(answer.header("Content-Type"), kind, "{effect:?}");
        assert!(answer.body.contains(body), "{effect:?}: {}", answer.body);
        let length = answer.body.len().to_string();
        assert_eq!(answer.header("Content-Length"), length, "{effect:?}");
        assert_eq!(imds.requests().entries()[0].status, Some(status));
    }
}

#[tokio::test]
async fn a_redirect_leads_back_with_a_slash_or_astray() {
    for (effect, status, location) in [
        (Effect::Redirect, 301, "http://x/latest/meta-data/"),
        (Effect::Astray, 302, "http://x/latest/user-data"),
    ] {
        let answer = get(&faulty(effect), "/latest/meta-data").await;
        assert_eq!(
            (answer.status, answer.header("Location")),
            (status, location)
        );
    }
}

#[tokio::test]
async fn answers_are_broken_on_their_way() {
    for (effect, end) in [
        (Effect::Cut, "\r\n\r\neu-w"),
        (Effect::Length(4), "\r\n\r\neu-west-1"),
        (Effect::Length(4000), "\r\n\r\neu-west-1"),
        (Effect::Chunked, "\r\n1\r\n1\r\n0\r\n\r\n"),
        (Effect::Noise, "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{16}"),
        (Effect::Close, ""),
        (Effect::Slow(Duration::from_millis(1)), "\r\n\r\neu-west-1"),
    ] {
        let imds = faulty(effect);
        let raw = raw(&imds, REGION).await.unwrap();
        assert!(raw.ends_with(end), "{effect:?}: {raw}");
        assert_eq!(raw.is_empty(), end.is_empty(), "{effect:?}: {raw}");
        imds.rules().clear();
        assert_eq!(get(&imds, REGION).await.status, 200, "{effect:?}");
    }
}

#[tokio::test]
async fn a_connection_is_reset() {
    let error = raw(&faulty(Effect::Reset), REGION).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_answer_never_comes_or_late() {
    let imds = faulty(Effect::Hang);
    let waiting = raw(&imds, REGION);
    let timeout = tokio::time::timeout(Duration::from_millis(50), waiting);
    assert!(timeout.await.is_err());
    assert_eq!(imds.requests().entries()[0].status, None);

    let imds = faulty(Effect::Latency(Duration::from_millis(50)));
    let start = Instant::now();
    assert_eq!(get(&imds, REGION).await.body, "eu-west-1");
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn there_may_be_no_tokens() {
    for status in [403, 404, 405] {
        let imds = start(TokenPolicy::Optional);
        imds.rules().add(Rule::no_tokens(status));
        let headers = format!("{TTL}: 60\r\n");
        let answer = ask(&imds, "PUT", "/latest/api/token", &headers).await;
        assert_eq!(answer.status, status);
        assert_eq!(get(&imds, LIST).await.status, 200);
    }
}

#[tokio::test]
async fn tokens_are_refused_or_expire_all_at_once() {
    let imds = start(TokenPolicy::Optional);
    let headers = format!("{TOKEN}: {}\r\n", token(&imds, 60).await);
    imds.rules()
        .add(Rule::always(Effect::RefuseTokens).times(1));
    for status in [401, 200] {
        assert_eq!(ask(&imds, "GET", LIST, &headers).await.status, status);
    }
    imds.expire_tokens();
    assert_eq!(ask(&imds, "GET", LIST, &headers).await.status, 401);
    let seen = imds.requests().entries();
    let tokens: Vec<_> = seen.iter().map(|seen| seen.token).collect();
    assert_eq!(
        tokens,
        [Bearing::None, Bearing::Good, Bearing::Good, Bearing::Bad]
    );
}

#[tokio::test]
async fn leaves_change_while_it_runs() {
    let imds = start(TokenPolicy::Optional);
    let path = "/latest/meta-data/spot/instance-action";
    assert_eq!(get(&imds, path).await.status, 404);
    imds.change("meta-data/spot/instance-action", Some("{}"));
    assert_eq!(get(&imds, path).await.body, "{}");
    assert_eq!(imds.leaves()["meta-data/spot/instance-action"], "{}");
    assert!(
        get(&imds, "/latest/meta-data/")
            .await
            .body
            .contains("spot/\n")
    );
    imds.change("meta-data/spot/instance-action", None);
    assert_eq!(get(&imds, path).await.status, 404);
}

#[tokio::test]
async fn the_control_listener_changes_all_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let imds = Imds::start(Config {
        control: Some(Address::Unix(path.clone())),
        ..Config::default()
    })
    .unwrap();
    let control = async |method, target, body| {
        let request = request(method, target, "", body);
        send_unix(&path, &request).await.unwrap()
    };
    let rules = r#"[{"path":"*/region","times":1,"do":{"status":503}}]"#;
    assert_eq!(control("PUT", "/rules", rules).await.status, 204);
    assert_eq!(control("GET", "/rules", "").await.body, rules);
    for status in [503, 200] {
        assert_eq!(get(&imds, REGION).await.status, status);
    }
    assert_eq!(control("PUT", "/rules", "[{}]").await.status, 400);

    let leaf = "/leaves/meta-data/spot/termination-time";
    assert_eq!(control("PUT", leaf, "soon").await.status, 204);
    let leaves = control("GET", "/leaves", "").await.json();
    assert_eq!(leaves["meta-data/spot/termination-time"], "soon");
    assert_eq!(control("DELETE", leaf, "").await.status, 204);
    assert_eq!(
        get(&imds, "/latest/meta-data/spot/termination-time")
            .await
            .status,
        404
    );

    let headers = format!("{TOKEN}: {}\r\n", token(&imds, 60).await);
    assert_eq!(control("DELETE", "/tokens", "").await.status, 204);
    assert_eq!(ask(&imds, "GET", LIST, &headers).await.status, 401);
    assert_eq!(control("DELETE", "/rules", "").await.status, 204);
}

#[tokio::test]
async fn every_version_has_the_whole_tree() {
    let imds = start(TokenPolicy::Optional);
    assert_eq!(get(&imds, "/").await.body, VERSIONS.join("\n"));
    for version in VERSIONS {
        let path = format!("/{version}/meta-data/placement/region");
        assert_eq!(get(&imds, &path).await.body, "eu-west-1", "{version}");
        assert_eq!(target_of(&path), target_of(REGION));
    }
    let addr = imds.addr();
    let odd = send(addr, &request("GET", "/latest/%75ser-data", "", "")).await;
    assert!(odd.unwrap().body.contains("AKIDNODE-BOOTSTRAP"));
}

#[tokio::test]
async fn bad_clients_do_not_end_it() {
    let imds = start(TokenPolicy::Optional);
    for garbage in [
        "\0\u{1}\u{2}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9\r\n\r\n",
    ] {
        let answer = send(imds.addr(), garbage).await;
        assert!(
            answer.is_none_or(|answer| answer.status == 400),
            "{garbage:?}"
        );
    }
    drop(tokio::net::TcpStream::connect(imds.addr()).await.unwrap());
    assert_eq!(get(&imds, "/").await.status, 200);
}
