//! Requests that go on as they came.

use std::fmt::Write as _;

use hyper::{Method, Request, Version};

use super::*;
use crate::upstream::testing::{Reply, Scripted, giving_tokens, nobody, ok, status, token};

fn request(method: Method, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The header lines of an answer.
fn headers(answer: &Response<Bytes>) -> String {
    let mut text = String::new();
    for (name, value) in answer.headers() {
        writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
    }
    text
}

#[tokio::test]
async fn a_request_goes_on_to_the_byte_and_so_does_its_answer() {
    let service = Scripted::start(|_| {
        status(
            "200 OK",
            &[
                "Content-Type: application/octet-stream",
                "Last-Modified: Wed, 31 Dec 2025 10:00:00 GMT",
                "Server: EC2ws",
                "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 17",
                "Connection: close, X-Hop",
                "X-Hop: 1",
                "Keep-Alive: timeout=5",
                "Proxy-Authenticate: Basic",
            ],
            "#cloud-config\n\0",
        )
    })
    .await;
    let (upstream, metrics) = upstream(&service.addr);
    let asked = request(
        Method::GET,
        "//latest/./user-data?a=%20b",
        &[
            ("host", "169.254.169.254"),
            ("x-aws-ec2-metadata-token", "theirs"),
            ("x-forwarded-for", "10.0.0.1, 10.0.0.2"),
            ("via", "1.1 a"),
            ("accept", "a"),
            ("accept", "b"),
            ("connection", "keep-alive, x-hop, x-forwarded-for, host"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic eDp5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
        ],
    );
    let answer = upstream.pass(&asked, Session::Theirs).await.unwrap();
    assert_eq!(
        service.heads(),
        ["GET //latest/./user-data?a=%20b HTTP/1.1\r\n\
          host: 169.254.169.254\r\n\
          x-aws-ec2-metadata-token: theirs\r\n\
          x-forwarded-for: 10.0.0.1, 10.0.0.2\r\n\
          via: 1.1 a\r\n\
          accept: a\r\n\
          accept: b\r\n\r\n"]
    );
    assert_eq!(answer.status(), 200);
    assert_eq!(
        headers(&answer),
        "content-length: 15\n\
         content-type: application/octet-stream\n\
         last-modified: Wed, 31 Dec 2025 10:00:00 GMT\n\
         server: EC2ws\n\
         x-aws-ec2-metadata-token-ttl-seconds: 17\n"
    );
    assert_eq!(answer.body(), &b"#cloud-config\n\0"[..]);
    assert_eq!(metrics.requests(Purpose::Pass, Outcome::Success), 1);
}

#[tokio::test]
async fn nothing_is_added_to_what_a_pod_sends() {
    let bare = |method, target| request(method, target, &[]);
    let with_length = request(
        Method::PUT,
        "/latest/api/token",
        &[
            ("content-length", "5"),
            ("x-aws-ec2-metadata-token-ttl-seconds", "60"),
        ],
    );
    let mut old = bare(Method::GET, "/latest/");
    old.version = Version::HTTP_10;
    for (asked, sent) in [
        (bare(Method::GET, "/"), "GET / HTTP/1.1\r\n\r\n"),
        (old, "GET /latest/ HTTP/1.0\r\n\r\n"),
        (
            bare(Method::PUT, "/latest/api/token"),
            "PUT /latest/api/token HTTP/1.1\r\n\r\n",
        ),
        (
            with_length,
            "PUT /latest/api/token HTTP/1.1\r\n\
             x-aws-ec2-metadata-token-ttl-seconds: 60\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            request(Method::GET, "/a", &[("content-length", "0")]),
            "GET /a HTTP/1.1\r\n\r\n",
        ),
        (
            bare(Method::from_bytes(b"BREW").unwrap(), "/a"),
            "BREW /a HTTP/1.1\r\n\r\n",
        ),
        (
            request(
                Method::GET,
                "http://elsewhere.test:1/latest/a?b",
                &[("host", "elsewhere.test:1")],
            ),
            "GET /latest/a?b HTTP/1.1\r\nhost: elsewhere.test:1\r\n\r\n",
        ),
        (
            bare(Method::GET, "http://elsewhere.test"),
            "GET / HTTP/1.1\r\n\r\n",
        ),
    ] {
        let service = Scripted::start(|_| ok("x")).await;
        let (upstream, _) = upstream(&service.addr);
        let answer = upstream.pass(&asked, Session::Theirs).await.unwrap();
        assert_eq!(answer.body(), "x");
        assert_eq!(service.heads(), [sent]);
    }
}

#[tokio::test]
async fn every_status_goes_back_as_it_came() {
    for (line, code) in [
        ("401 Unauthorized", 401),
        ("403 Forbidden", 403),
        ("404 Not Found", 404),
        ("301 Moved Permanently", 301),
        ("500 Internal Server Error", 500),
        ("299 Odd", 299),
    ] {
        let location = "Location: http://elsewhere.test/";
        let service = Scripted::start(move |_| status(line, &[location], "body")).await;
        let (upstream, _) = upstream(&service.addr);
        for _ in 0..2 {
            let asked = request(Method::GET, "/a", &[]);
            let answer = upstream.pass(&asked, Session::Theirs).await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), &answer.body()[..]),
                (code, &b"body"[..])
            );
            assert_eq!(answer.headers()["location"], "http://elsewhere.test/");
        }
        assert_eq!(
            service.lines().len(),
            2,
            "nothing is remembered or repeated"
        );
    }
}

#[tokio::test]
async fn the_head_of_an_answer_without_its_body_goes_back_too() {
    let service = Scripted::start(|_| {
        Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n".to_owned())
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    let asked = request(Method::HEAD, "/a", &[]);
    let answer = upstream.pass(&asked, Session::Theirs).await.unwrap();
    assert_eq!(headers(&answer), "content-length: 99\n");
    assert!(answer.body().is_empty());
}

#[tokio::test]
async fn an_answer_in_pieces_goes_back_whole_up_to_a_mebibyte() {
    const LIMIT: usize = 1 << 20;
    for (size, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
        let body = format!("{size:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(size));
        let body = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let service = Scripted::start(move |_| Reply::Text(body.clone())).await;
        let (upstream, _) = upstream(&service.addr);
        let asked = request(Method::GET, "/a", &[]);
        let answer = upstream.pass(&asked, Session::Theirs).await;
        assert_eq!(answer.is_ok(), fits);
        if let Ok(answer) = answer {
            assert_eq!((answer.body().len(), headers(&answer).as_str()), (size, ""));
        }
    }
}

#[tokio::test]
async fn a_token_that_we_gave_is_replaced_by_our_own() {
    let service = giving_tokens(|head| {
        if head.contains("metadata-token: token-2\r\n") {
            ok("x")
        } else {
            status("401 Unauthorized", &[], "")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    let shown = [("x-aws-ec2-metadata-token", "of ours"), ("a", "b")];
    let asked = request(Method::GET, "/latest/user-data", &shown);
    let answer = upstream.pass(&asked, Session::Ours).await.unwrap();
    assert_eq!(answer.body(), "x", "the first one was refused");
    let heads = service.heads().concat();
    assert!(!heads.contains("of ours"), "{heads}");
    assert_eq!(heads.matches("a: b").count(), 2);
    // As it came, it is their business.
    let answer = upstream.pass(&asked, Session::Theirs).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(service.heads().concat().contains("of ours"));
}

#[tokio::test]
async fn where_the_service_gives_no_tokens_none_is_shown() {
    let service = Scripted::start(|head| {
        if head.starts_with("PUT ") {
            status("404 Not Found", &[], "")
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    let asked = request(
        Method::GET,
        "/a",
        &[("x-aws-ec2-metadata-token", "of ours")],
    );
    upstream.pass(&asked, Session::Ours).await.unwrap();
    assert_eq!(service.heads()[1], "GET /a HTTP/1.1\r\n\r\n");
}

#[tokio::test]
async fn nobody_is_a_proxy_for_others() {
    let service = Scripted::start(|_| token("x")).await;
    let (upstream, _) = upstream(&service.addr);
    for target in ["169.254.169.254:80", "elsewhere.test:443", "/a"] {
        let asked = request(Method::CONNECT, target, &[]);
        let told = reason(upstream.pass(&asked, Session::Theirs).await);
        assert!(told.contains("it is asked to be a proxy"), "{told}");
    }
    assert!(service.lines().is_empty());
}

#[tokio::test]
async fn where_nobody_is_nobody_else_is_sent_for_a_moment() {
    let (upstream, metrics) = upstream(&nobody().await);
    for number in 0..100 {
        let asked = request(Method::GET, "/a", &[]);
        let told = reason(upstream.pass(&asked, Session::Theirs).await);
        assert!(told.contains("cannot connect: "), "{told}");
        if number == 0 {
            time::pause();
        }
    }
    assert_eq!(metrics.requests(Purpose::Pass, Outcome::Unreachable), 1);
}

#[tokio::test]
async fn only_so_many_are_passed_on_at_a_time() {
    let service = Scripted::start(|_| Reply::Hang).await;
    let (upstream, metrics) = upstream(&service.addr);
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let upstream = upstream.clone();
            tokio::spawn(async move {
                let asked = request(Method::GET, "/a", &[]);
                reason(upstream.pass(&asked, Session::Theirs).await)
            })
        })
        .collect();
    let mut turned_away = 0;
    for task in tasks {
        let told = task.await.unwrap();
        turned_away += u64::from(told.ends_with("too many requests to it are under way"));
    }
    assert_eq!((service.most(), turned_away), (16, 24));
    assert_eq!(metrics.turned(Purpose::Pass), 24);
}
