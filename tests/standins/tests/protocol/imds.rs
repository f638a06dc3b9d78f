mod faults;

use std::{io::Read as _, time::Duration};

use bpf2iam_standins::{
    LEAK_MARK,
    clock::{Clock, Hand},
    imds::{Bearing, Config, Imds, TokenPolicy},
    listen::Address,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::wire::{Answer, request, send, send_unix};

const TTL: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "X-aws-ec2-metadata-token";
const LIST: &str = "/latest/meta-data/iam/security-credentials/";

fn start(tokens: TokenPolicy) -> Imds {
    Imds::start(Config {
        tokens,
        ..Config::default()
    })
    .unwrap()
}

/// A stand-in whose clock only the test moves.
fn start_with_hand() -> (Imds, Hand) {
    let (clock, hand) = Clock::by_hand("2026-01-02T03:04:05Z".parse().unwrap());
    let config = Config {
        clock,
        ..Config::default()
    };
    (Imds::start(config).unwrap(), hand)
}

async fn ask(imds: &Imds, method: &str, path: &str, headers: &str) -> Answer {
    let request = request(method, path, headers, "");
    send(imds.addr(), &request).await.unwrap()
}

async fn get(imds: &Imds, path: &str) -> Answer {
    ask(imds, "GET", path, "").await
}

async fn token(imds: &Imds, ttl: u32) -> String {
    let headers = format!("{TTL}: {ttl}\r\n");
    ask(imds, "PUT", "/latest/api/token", &headers).await.body
}

#[tokio::test]
async fn a_token_comes_with_the_headers_of_ec2() {
    let imds = start(TokenPolicy::Optional);
    let answer = ask(
        &imds,
        "PUT",
        "/latest/api/token",
        &format!("{TTL}: 21600\r\n"),
    )
    .await;
    assert_eq!((answer.status, answer.body.len()), (200, 56));
    for (name, value) in [
        ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600"),
        ("Content-Length", "56"),
        ("Content-Type", "text/plain"),
        ("Server", "EC2ws"),
        ("Connection", "close"),
        ("Last-Modified", ""),
        ("Accept-Ranges", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("Date").ends_with(" GMT"));
}

#[tokio::test]
async fn whoever_asks_wrongly_gets_no_token() {
    let imds = start(TokenPolicy::Optional);
    let path = "/latest/api/token";
    let good = format!("{TTL}: 60\r\n");
    let wrong = |ttl: &str| format!("{TTL}: {ttl}\r\n");
    let forwarded = format!("{good}X-Forwarded-For: 10.0.0.1\r\n");
    for (method, path, headers, status) in [
        ("PUT", path, "", 400),
        ("PUT", path, &wrong("0"), 400),
        ("PUT", path, &wrong("21601"), 400),
        ("PUT", path, &wrong("soon"), 400),
        ("PUT", path, &forwarded, 403),
        ("PUT", "/2021-03-23/api/token", &good, 403),
        ("GET", path, &good, 405),
        ("POST", path, &good, 405),
        ("DELETE", path, &good, 405),
        ("PUT", "/latest/api/tokens", &good, 405),
        ("PUT", "/latest/meta-data/instance-id", &good, 405),
    ] {
        let answer = ask(&imds, method, path, headers).await;
        assert_eq!(answer.status, status, "{method} {path} {headers}");
        assert_eq!(answer.header("Connection"), "close");
        assert_eq!(answer.body.is_empty(), status != 400, "{}", answer.body);
    }
    let answer = get(&imds, path).await;
    assert_eq!(answer.header("Allow"), "OPTIONS, PUT");
    assert_eq!(answer.header("Content-Length"), "0");
}

#[tokio::test]
async fn a_slash_behind_the_tokens_path_is_refused_and_the_connection_stays() {
    let imds = start(TokenPolicy::Optional);
    let mut stream = tokio::net::TcpStream::connect(imds.addr()).await.unwrap();
    let request = format!("PUT /latest/api/token/ HTTP/1.1\r\nHost: x\r\n{TTL}: 60\r\n\r\n");
    for _ in 0..2 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
        assert!(
            answer.contains("Content-Length: 0\r\n") && !answer.contains("close"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_token_lets_in_and_counts_down() {
    let (imds, hand) = start_with_hand();
    let headers = format!("{TOKEN}: {}\r\n", token(&imds, 60).await);
    hand.advance(Duration::from_secs(18));
    for (path, status) in [(LIST, 200), ("/latest/nothing", 404)] {
        let answer = ask(&imds, "GET", path, &headers).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"),
            "42",
            "{path}"
        );
    }
    hand.advance(Duration::from_secs(42));
    assert_eq!(ask(&imds, "GET", LIST, &headers).await.status, 401);
}

#[tokio::test]
async fn a_bad_token_is_refused_even_where_none_is_needed() {
    for policy in [TokenPolicy::Optional, TokenPolicy::Required] {
        let imds = start(policy);
        let foreign = token(&start(policy), 60).await;
        for token in ["", "x", &foreign] {
            let headers = format!("{TOKEN}: {token}\r\n");
            let answer = ask(&imds, "GET", LIST, &headers).await;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (401, ""),
                "{policy:?} {token:?}"
            );
            assert_eq!(answer.header("Content-Type"), "text/plain");
        }
    }
}

#[tokio::test]
async fn without_a_token_the_policy_decides() {
    let (optional, required) = (start(TokenPolicy::Optional), start(TokenPolicy::Required));
    for path in ["/", "/latest/meta-data/", LIST, "/latest/nothing"] {
        assert_ne!(get(&optional, path).await.status, 401, "{path}");
        assert_eq!(get(&required, path).await.status, 401, "{path}");
    }
    let answer = get(&optional, LIST).await;
    assert_eq!(answer.header("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), "");
}

#[tokio::test]
async fn a_proxy_may_not_use_a_token() {
    let imds = start(TokenPolicy::Optional);
    let forwarded = "X-Forwarded-For: 10.0.0.1\r\n";
    let with_token = format!("{forwarded}{TOKEN}: {}\r\n", token(&imds, 60).await);
    assert_eq!(ask(&imds, "GET", LIST, &with_token).await.status, 403);
    assert_eq!(ask(&imds, "GET", LIST, forwarded).await.status, 200);
}

#[tokio::test]
async fn resources_come_with_the_headers_of_ec2() {
    let (imds, _hand) = start_with_hand();
    for (path, kind, body) in [
        (
            "/latest/meta-data/placement/region",
            "text/plain",
            "eu-west-1",
        ),
        (
            "/latest/meta-data/placement/availability-zone/",
            "text/plain",
            "eu-west-1a",
        ),
        (LIST, "text/plain", "node-role"),
        (
            "//latest/meta-data/iam/security-credentials",
            "text/plain",
            "node-role",
        ),
        (
            "/2009-04-04/meta-data/instance-id",
            "text/plain",
            "i-0a1b2c3d4e5f60718",
        ),
        ("/latest/", "text/plain", "dynamic\nmeta-data\nuser-data"),
        ("/latest/user-data", "application/octet-stream", ""),
    ] {
        let answer = get(&imds, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("Content-Type"), kind, "{path}");
        assert_eq!(
            answer.header("Content-Length"),
            answer.body.len().to_string()
        );
        assert_eq!(answer.header("Accept-Ranges"), "none");
        assert_eq!(
            answer.header("Last-Modified"),
            "Fri, 02 Jan 2026 03:04:05 GMT"
        );
        assert_eq!(answer.header("Server"), "EC2ws");
        assert_eq!(answer.header("Connection"), "close");
        assert!(
            body.is_empty() || answer.body == body,
            "{path}: {}",
            answer.body
        );
    }
    assert!(get(&imds, "/").await.body.ends_with("\nlatest"));
}

#[tokio::test]
async fn what_does_not_exist_has_the_page_of_ec2() {
    let imds = start(TokenPolicy::Optional);
    for path in [
        "/latest/meta-data/iam/security-credentials-extended/",
        "/latest/meta-data/iam/security-credentials-extended/node-role",
        "/latest/meta-data/iam/security-credentials/other",
        "/latest/meta-data/iam/security-credentials/%3C?xml%20version=1//W3C//DTD",
        "/latest/api",
        "/2999-01-01/meta-data/",
        "/standin/requests",
        "/requests",
        "/counts",
    ] {
        let answer = get(&imds, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("Content-Type"), "text/html");
        assert_eq!(answer.header("Content-Length"), "339");
        assert_eq!(answer.header("Last-Modified"), "");
        assert!(answer.body.contains("<h1>404 - Not Found</h1>"));
    }
}

#[tokio::test]
async fn the_nodes_keys_are_there_to_be_leaked() {
    let imds = start(TokenPolicy::Optional);
    let answer = get(&imds, &format!("{LIST}node-role")).await;
    let key = answer.json()["AccessKeyId"].as_str().unwrap().to_owned();
    assert!(key.starts_with(LEAK_MARK), "{key}");
    assert_eq!(key, imds.access_key_id());
    assert!(
        get(&imds, "/latest/user-data")
            .await
            .body
            .contains("AKIDNODE-BOOTSTRAP")
    );
}

#[tokio::test]
async fn head_and_other_methods_behave() {
    let imds = start(TokenPolicy::Optional);
    let head = ask(&imds, "HEAD", LIST, "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("Content-Length"), "9");
    for method in ["POST", "DELETE", "PATCH"] {
        assert_eq!(ask(&imds, method, LIST, "").await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn every_request_is_remembered_without_its_secrets() {
    let (imds, _hand) = start_with_hand();
    let token = token(&imds, 60).await;
    ask(
        &imds,
        "GET",
        "//latest/user-data?x=1",
        &format!("{TOKEN}: {token}\r\n"),
    )
    .await;
    let seen = imds.requests().entries();
    assert_eq!(seen.len(), 2);
    let last = &seen[1];
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("GET", "//latest/user-data")
    );
    assert_eq!(last.at.to_string(), "2026-01-02T03:04:05Z");
    assert_eq!((last.status, last.token), (Some(200), Bearing::Good));
    assert_eq!(last.query.as_deref(), Some("x=1"));
    assert_eq!(seen[0].token, Bearing::None);
    assert!(last.peer.is_some_and(|peer| peer.ip().is_loopback()));
    assert!(last.headers.contains(&TOKEN.to_lowercase()));
    assert!(!format!("{seen:?}").contains(&token));
}

#[tokio::test]
async fn the_control_listener_tells_what_was_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let imds = Imds::start(Config {
        control: Some(Address::Unix(path.clone())),
        ..Config::default()
    })
    .unwrap();
    get(&imds, LIST).await;
    get(&imds, LIST).await;
    let control = async |method, target| {
        let request = request(method, target, "", "");
        send_unix(&path, &request).await.unwrap()
    };
    let seen = control("GET", "/requests").await.json();
    assert_eq!(seen.as_array().map(Vec::len), Some(2));
    assert_eq!(seen[0]["path"], LIST);
    let counts = control("GET", "/counts").await.json();
    let expected =
        serde_json::json!([{"method": "GET", "path": LIST, "status": 200, "requests": 2}]);
    assert_eq!(counts, expected);

    assert_eq!(control("DELETE", "/requests").await.status, 204);
    assert_eq!(control("GET", "/requests").await.body, "[]");
    for (method, target) in [("GET", "/"), ("POST", "/requests"), ("GET", LIST)] {
        assert_eq!(
            control(method, target).await.status,
            404,
            "{method} {target}"
        );
    }
}

#[tokio::test]
async fn it_listens_on_both_families_and_stops_when_told() {
    let imds = Imds::start(Config {
        listen: vec!["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()],
        ..Config::default()
    })
    .unwrap();
    let addrs = imds.addrs().to_vec();
    for addr in &addrs {
        let answer = send(*addr, &request("GET", "/", "", "")).await.unwrap();
        assert_eq!(answer.status, 200, "{addr}");
    }
    imds.stop().await;
    for addr in addrs {
        assert!(
            tokio::net::TcpStream::connect(addr).await.is_err(),
            "{addr}"
        );
    }
}

#[tokio::test]
async fn dropping_it_ends_open_connections() {
    let imds = start(TokenPolicy::Optional);
    let mut idle = std::net::TcpStream::connect(imds.addr()).unwrap();
    get(&imds, "/").await; // the idle connection was accepted before this one
    drop(imds);
    let read = tokio::task::spawn_blocking(move || idle.read(&mut [0; 1]));
    assert_eq!(read.await.unwrap().unwrap_or(0), 0);
}

#[tokio::test]
async fn there_must_be_an_address() {
    let config = Config {
        listen: Vec::new(),
        ..Config::default()
    };
    assert_eq!(
        Imds::start(config).unwrap_err().to_string(),
        "no address to listen on"
    );
}
