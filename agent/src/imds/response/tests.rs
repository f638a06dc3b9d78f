use std::fmt::Write as _;

use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};

use super::*;

/// Every header as `name: value`, in no order of meaning: sorted; and the body.
async fn printed(answer: Answer) -> (Vec<String>, Bytes) {
    let response = answer.into_response();
    let mut headers: Vec<_> = response
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    (
        headers,
        response.into_body().collect().await.unwrap().to_bytes(),
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn text() -> Answer {
    let modified = "2026-01-02T03:04:05.9Z".parse().unwrap();
    Answer::served(Bytes::from_static(b"my-role"), modified)
}

#[test]
fn who_prints_an_answer_prints_nothing_that_is_in_it() {
    let ttl = "60".parse().unwrap();
    for (answer, body) in [
        (Answer::token("hunter2".to_owned(), ttl), "Token"),
        (
            Answer::served(
                Bytes::from_static(b"hunter2"),
                "2026-01-02T03:04:05Z".parse().unwrap(),
            ),
            "Text",
        ),
    ] {
        let printed = format!("{answer:?}");
        assert!(
            printed.contains(body) && !printed.contains("hunter2"),
            "{printed}"
        );
    }
}

#[tokio::test]
async fn the_page_is_ec2s_to_the_byte() {
    let (headers, body) = printed(Answer::refused(Outcome::Path)).await;
    assert_eq!(headers, ["content-type: text/html", "server: EC2ws"]);
    assert_eq!(body.len(), 339);
    let digest = hex(&Sha256::digest(&body));
    assert_eq!(
        digest,
        "3f92bfc0961a4bf4e83938c708afb562018c698f4a2775acc4d59879c33aa39c"
    );
}

#[tokio::test]
async fn what_is_read_has_the_headers_of_a_leaf() {
    let (headers, body) = printed(text()).await;
    assert_eq!(
        headers,
        [
            "accept-ranges: none",
            "content-type: text/plain",
            "last-modified: Fri, 02 Jan 2026 03:04:05 GMT",
            "server: EC2ws",
        ]
    );
    assert_eq!(body, "my-role");
}

#[tokio::test]
async fn a_token_comes_with_its_life_and_nothing_else() {
    let ttl = "21600".parse().unwrap();
    let (headers, body) = printed(Answer::token("AQAA==".to_owned(), ttl)).await;
    assert_eq!(
        headers,
        [
            "content-type: text/plain",
            "server: EC2ws",
            "x-aws-ec2-metadata-token-ttl-seconds: 21600",
        ]
    );
    assert_eq!(body, "AQAA==");
}

#[tokio::test]
async fn who_came_with_a_token_is_told_what_is_left_of_it_also_where_nothing_is_found() {
    for answer in [
        text(),
        Answer::refused(Outcome::Path),
        Answer::refused(Outcome::Fetching),
    ] {
        let status = answer.status;
        let told = answer.clone().for_session(Some(21_518));
        assert_eq!(told.status, status);
        let told = told.into_response();
        let name = HeaderName::from_static(TOKEN_TTL);
        assert_eq!(told.headers().get(&name).unwrap(), "21518");
        let untold = answer.for_session(None).into_response();
        assert!(!untold.headers().contains_key(&name));
    }
}

#[tokio::test]
async fn a_refusal_has_its_status_and_no_words() {
    use Outcome as O;
    for (why, code) in [
        (O::TokenTtl, 400),
        (O::BodyBroken, 400),
        (O::TokenMissing, 401),
        (O::TokenMalformed, 401),
        (O::TokenForged, 401),
        (O::TokenExpired, 401),
        (O::TokenPath, 403),
        (O::Forwarded, 403),
        (O::TokenMethod, 405),
        (O::Method, 405),
        (O::BodySize, 413),
        (O::PodUnknown, 503),
        (O::Fetching, 503),
        (O::Unavailable, 503),
        (O::Expiring, 503),
        (O::Upstream, 503),
    ] {
        let answer = Answer::refused(why);
        assert_eq!(answer.outcome, why);
        assert_eq!(answer.status.code().as_u16(), code, "{why:?}");
        let (headers, body) = printed(answer).await;
        assert!(body.is_empty(), "{why:?}");
        assert!(
            headers.contains(&"content-type: text/plain".to_owned()),
            "{why:?}"
        );
    }
}

#[test]
fn what_is_not_for_the_pod_looks_like_what_does_not_exist() {
    let absent = Answer::refused(Outcome::Path);
    for why in [
        Outcome::NoRole,
        Outcome::InvalidRole,
        Outcome::OtherAddress,
        Outcome::PodElsewhere,
        Outcome::Forbidden,
        Outcome::OtherRole,
        Outcome::Denied,
        Outcome::Missing,
    ] {
        let outcome = Outcome::Path;
        let same = Answer {
            outcome,
            ..Answer::refused(why)
        };
        assert_eq!(same, absent, "{why:?}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones_in_ec2s_words() {
    for (why, allow) in [
        (Outcome::TokenMethod, "allow: OPTIONS, PUT"),
        (Outcome::Method, "allow: GET, HEAD"),
    ] {
        let answer = Answer::refused(why);
        let response = answer.clone().into_response();
        let phrase = response.extensions().get::<ReasonPhrase>().unwrap();
        assert_eq!(phrase.as_bytes(), b"Not Allowed");
        assert!(printed(answer).await.0.contains(&allow.to_owned()));
    }
}

#[test]
fn no_body_is_printed() {
    let ttl = "60".parse().unwrap();
    for answer in [text(), Answer::token("AQAA==".to_owned(), ttl)] {
        let printed = format!("{answer:?}");
        assert!(
            !printed.contains("my-role") && !printed.contains("AQAA"),
            "{printed}"
        );
    }
}

/// The real service's answer with this status, and with what it says of the life of a token.
fn passed(status: StatusCode) -> Answer {
    let answer = Response::builder().status(status);
    let answer = answer.header(TOKEN_TTL, "21000").header("x-other", "1");
    Answer::passed(answer.body(Bytes::from_static(b"text")).unwrap())
}

#[tokio::test]
async fn what_is_passed_on_has_its_own_status_also_in_the_log() {
    for (code, label) in [
        (200, "200"),
        (301, "other"),
        (404, "404"),
        (429, "other"),
        (500, "other"),
        (503, "503"),
    ] {
        let code = StatusCode::from_u16(code).unwrap();
        let answer = passed(code);
        assert_eq!((answer.status.label(), answer.code()), (label, code));
        assert_eq!(answer.into_response().status(), code);
    }
    assert_eq!(Answer::refused(Outcome::Forwarded).code(), 403);
}

#[tokio::test]
async fn who_showed_a_token_of_ours_is_told_of_that_and_not_of_the_agents_own() {
    for (left, told) in [(None, "21000"), (Some(60), "60")] {
        let (headers, body) = printed(passed(StatusCode::OK).for_session(left)).await;
        let life = format!("{TOKEN_TTL}: {told}");
        assert_eq!(
            (headers, &*body),
            (vec![life, "x-other: 1".to_owned()], &b"text"[..])
        );
    }
    let silent = Answer::passed(Response::new(Bytes::new())).for_session(Some(60));
    assert_eq!(printed(silent).await.0, [""; 0]);
}
