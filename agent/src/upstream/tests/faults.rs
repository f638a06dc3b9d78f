//! A service that does not answer as it should.

use super::*;
use crate::{
    metadata::DOCUMENT,
    upstream::testing::{Reply, giving_tokens, later, nobody, ok, status},
};

const PATH: &str = "meta-data/a";
const LIMIT: usize = 64 << 10;

fn chunked(body: &str) -> Reply {
    Reply::Text(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
    ))
}

#[tokio::test]
async fn whatever_is_no_answer_is_an_error_that_names_it() {
    let endless = chunked(&format!(
        "{LIMIT:x}\r\n{}\r\n1\r\nx\r\n0\r\n\r\n",
        "x".repeat(LIMIT)
    ));
    let too_long = "the answer to \"meta-data/a\" has more than 65536 bytes";
    for (reply, says) in [
        (ok(&"x".repeat(LIMIT + 1)), too_long),
        (endless, too_long),
        (
            Reply::Text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort".to_owned()),
            "cannot ask for \"meta-data/a\"",
        ),
        (chunked("5\r\nshort\r\n"), "cannot ask for \"meta-data/a\""),
        (chunked("nonsense\r\n"), "cannot ask for \"meta-data/a\""),
        (chunked("-1\r\n"), "cannot ask for \"meta-data/a\""),
        (
            Reply::Text("SSH-2.0-OpenSSH\r\n\r\n".to_owned()),
            "cannot ask for \"meta-data/a\"",
        ),
        (
            Reply::Text(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx".to_owned(),
            ),
            "cannot ask for \"meta-data/a\"",
        ),
        (
            Reply::Text(format!(
                "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
                "x".repeat(LIMIT)
            )),
            "cannot ask for \"meta-data/a\"",
        ),
        (Reply::Text(String::new()), "cannot ask for \"meta-data/a\""),
        (
            status("200 OK", &["Content-Type: text/html; charset=utf-8"], "x"),
            "cannot ask for \"meta-data/a\"",
        ),
        (ok(""), "cannot ask for \"meta-data/a\""),
        (status("500 Internal Server Error", &[], "x"), "status 500"),
        (status("403 Forbidden", &[], "x"), "status 403"),
        (status("204 No Content", &[], ""), "status 204"),
        (status("206 Partial Content", &[], "x"), "status 206"),
    ] {
        let service = giving_tokens(move |_| reply.clone()).await;
        let (upstream, metrics) = upstream(&service.addr);
        let told = reason(upstream.read(PATH, Freshness::Lasting, pod()).await);
        let begin = format!("cannot ask the metadata service at {}: ", service.addr);
        assert!(told.starts_with(&begin) && told.contains(says), "{told}");
        assert_eq!(service.lines().len(), 2, "{says}: nobody asks again");
        assert_eq!(metrics.reads(Origin::Nothing), 1);
    }
}

#[tokio::test]
async fn the_longest_answer_is_taken_whole() {
    let service = giving_tokens(|_| ok(&"x".repeat(LIMIT))).await;
    let (upstream, _) = upstream(&service.addr);
    let read = upstream.read(PATH, Freshness::Brief, pod()).await;
    assert_eq!(text(read).unwrap().len(), LIMIT);
}

#[tokio::test]
async fn an_identity_document_that_is_none_is_not_remembered() {
    let service = giving_tokens(|_| ok("{\"region\": ")).await;
    let (upstream, _) = upstream(&service.addr);
    for _ in 0..2 {
        let told = reason(upstream.read(DOCUMENT, Freshness::Lasting, pod()).await);
        assert!(told.contains("it is no identity document"), "{told}");
    }
}

/// As EC2 says that an instance has no public name.
#[tokio::test]
async fn what_may_change_may_also_be_empty() {
    let service = giving_tokens(|_| ok("")).await;
    let (upstream, _) = upstream(&service.addr);
    let read = upstream
        .read("meta-data/public-hostname", Freshness::Brief, pod())
        .await;
    assert_eq!(text(read).as_deref(), Some(""));
}

#[tokio::test]
async fn a_directory_that_wants_its_slash_gets_it() {
    for location in [
        "http://169.254.169.254/latest/meta-data/a/",
        "/latest/meta-data/a/",
    ] {
        for moved in ["301 Moved Permanently", "302 Found"] {
            let location = format!("Location: {location}");
            let service = giving_tokens(move |head| {
                if head.starts_with("GET /latest/meta-data/a/ ") {
                    ok("b")
                } else {
                    status(moved, &[&location], "")
                }
            })
            .await;
            let (upstream, _) = upstream(&service.addr);
            let read = upstream.read(PATH, Freshness::Brief, pod()).await;
            assert_eq!(text(read).as_deref(), Some("b"));
            assert_eq!(service.lines().len(), 3);
        }
    }
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    for location in [
        "/latest/meta-data/a",
        "/latest/meta-data/b/",
        "/latest/user-data/",
        "/latest/meta-data/a/?b",
        "/latest/meta-data/a//",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "//other/latest/meta-data/b/",
        "a/",
        "",
    ] {
        let header = format!("Location: {location}");
        let service = giving_tokens(move |_| status("301 Moved Permanently", &[&header], "")).await;
        let (upstream, _) = upstream(&service.addr);
        let told = reason(upstream.read(PATH, Freshness::Brief, pod()).await);
        assert!(told.contains("status 301"), "{told}");
        assert_eq!(service.lines().len(), 2, "{location}");
    }
    // And not in circles.
    for end in ["", "/"] {
        let service = giving_tokens(move |head| {
            let target = head.split(' ').nth(1).unwrap().trim_end_matches(end);
            status("302 Found", &[&format!("Location: {target}/")], "")
        })
        .await;
        let (upstream, _) = upstream(&service.addr);
        assert!(upstream.read(PATH, Freshness::Brief, pod()).await.is_err());
        assert_eq!(service.lines().len(), 3);
    }
}

#[tokio::test]
async fn who_hangs_is_waited_for_less_than_a_second_and_then_not_at_all() {
    let service = giving_tokens(|_| Reply::Hang).await;
    let (upstream, metrics) = upstream(&service.addr);
    let start = Instant::now();
    let told = reason(upstream.read(PATH, Freshness::Brief, pod()).await);
    let took = start.elapsed();
    assert!(
        told.ends_with("no answer to \"meta-data/a\" within 0.7 s"),
        "{told}"
    );
    assert!(
        took >= Duration::from_millis(690) && took < Duration::from_millis(1500),
        "{took:?}"
    );
    time::pause();
    for _ in 0..100 {
        let again = reason(upstream.read(PATH, Freshness::Brief, pod()).await);
        assert_eq!(again, told);
    }
    time::resume();
    assert_eq!(service.lines().len(), 2);
    assert_eq!(metrics.requests(Purpose::Read, Outcome::TimedOut), 1);
    later(Duration::from_secs(1)).await;
    assert!(upstream.read(PATH, Freshness::Brief, pod()).await.is_err());
    assert_eq!(service.lines().len(), 3, "then it is asked again");
}

#[tokio::test]
async fn one_slow_path_makes_no_other_unavailable() {
    let service = giving_tokens(|head| {
        if head.contains("/slow") {
            Reply::Hang
        } else {
            ok("x")
        }
    })
    .await;
    let (upstream, _) = upstream(&service.addr);
    let slow = upstream.clone();
    let slow =
        tokio::spawn(async move { slow.read("meta-data/slow", Freshness::Brief, pod()).await });
    tokio::task::yield_now().await;
    for _ in 0..2 {
        let read = upstream.read(PATH, Freshness::Never, pod()).await;
        assert_eq!(text(read).as_deref(), Some("x"));
    }
    assert!(slow.await.unwrap().is_err());
    let read = upstream.read(PATH, Freshness::Never, pod()).await;
    assert_eq!(text(read).as_deref(), Some("x"));
}

#[tokio::test]
async fn where_nobody_is_nobody_knocks_for_a_moment() {
    let (upstream, metrics) = upstream(&nobody().await);
    for number in 0..100 {
        let path = format!("meta-data/{number}");
        let told = reason(upstream.read(&path, Freshness::Brief, pod()).await);
        assert!(told.contains("cannot connect: "), "{told}");
        if number == 0 {
            time::pause();
        }
    }
    time::resume();
    assert_eq!(metrics.requests(Purpose::Token, Outcome::Unreachable), 1);
    later(Duration::from_secs(1)).await;
    assert!(upstream.read(PATH, Freshness::Brief, pod()).await.is_err());
    assert_eq!(metrics.requests(Purpose::Token, Outcome::Unreachable), 2);
}

#[tokio::test]
async fn an_error_repeats_no_junk() {
    let (upstream, _) = upstream(&nobody().await);
    let service = giving_tokens(|_| status("500 No", &[], "")).await;
    let (there, _) = testing::upstream(&service.addr);
    let junk = format!("meta-data/\n\u{1b}[2J{}", "x".repeat(9000));
    for upstream in [upstream, there] {
        let told = reason(upstream.read(&junk, Freshness::Brief, pod()).await);
        assert!(
            told.len() < 300 && !told.contains(char::is_control),
            "{told}"
        );
    }
}
