//! Headers and bodies by kind.

use jiff::{Timestamp, fmt::strtime};
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, INFO, ROLES};

use super::{A, B, DOCUMENT, start};

const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// A time as HTTP spells it.
fn http_date(text: &str) -> Timestamp {
    let date = text
        .strip_suffix(" GMT")
        .unwrap_or_else(|| panic!("{text:?}"));
    let date = strtime::parse("%a, %d %b %Y %H:%M:%S", date);
    let date = date.unwrap_or_else(|error| panic!("{text:?}: {error}"));
    let date = date
        .to_datetime()
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::UTC);
    date.unwrap().timestamp()
}

fn assert_now(text: &str) {
    let age = Timestamp::now().duration_since(http_date(text)).as_secs();
    assert!((-1..=60).contains(&age), "{text}");
}

// imds.md 1.3: "leaf / list / iam JSON"
#[tokio::test]
async fn what_is_there_comes_with_the_headers_of_ec2_and_no_others() {
    let world = start().await;
    let token = world.client(A).token().await;
    let credentials = format!("{ROLES}a-role");
    let document = format!("/latest/{DOCUMENT}");
    for path in [
        "/",
        "/latest/",
        "/latest/dynamic/",
        "/latest/meta-data",
        "/latest/meta-data/placement/",
        "/latest/meta-data/placement/region",
        "/latest/meta-data/instance-id",
        "/latest/meta-data/iam/",
        &document,
        INFO,
        ROLES,
        &credentials,
    ] {
        let plain = world.client(A).get(path).await;
        assert_headers(&plain, path, &HEADERS);
        let answer = world.client(A).get_with(path, &token).await;
        assert_headers(&answer, path, &[&HEADERS[..], &[TTL]].concat());
        let left: u16 = answer.header(TTL).parse().unwrap();
        assert!((21_000..=21_600).contains(&left), "{path}: {left}");
    }
}

/// Those of everything that is there.
const HEADERS: [&str; 7] = [
    "accept-ranges",
    "connection",
    "content-length",
    "content-type",
    "date",
    "last-modified",
    "server",
];

fn assert_headers(answer: &Answer, path: &str, names: &[&str]) {
    assert_eq!(answer.status, 200, "{path}");
    assert_eq!(answer.header_names(), names, "{path}");
    let length = answer.body.len().to_string();
    for (name, value) in [
        ("accept-ranges", "none"),
        ("connection", "close"),
        ("content-length", &*length),
        ("content-type", "text/plain"),
        ("server", "EC2ws"),
    ] {
        assert_eq!(answer.header(name), value, "{path}: {name}");
    }
    assert_now(answer.header("date"));
    assert!(http_date(answer.header("last-modified")) <= Timestamp::now());
    assert!(
        !answer.body.is_empty() && !answer.body.ends_with('\n'),
        "{path}"
    );
}

// imds.md 1.3: "404"
#[tokio::test]
async fn what_is_not_there_has_the_page_of_ec2_to_the_byte() {
    let world = start().await;
    let token = world.client(A).token().await;
    let expected = [
        0x3f92_bfc0_961a_4bf4_e839_38c7_08af_b562_u128,
        0x018c_698f_4a27_75ac_c4d5_9879_c33a_a39c,
    ];
    let expected = expected.map(u128::to_be_bytes).concat();
    for path in [
        "/nothing",
        "/latest/user-data",
        "/latest/meta-data/local-ipv4",
        "/latest/meta-data/instance-id/more",
        "/latest/meta-data/spot/instance-action",
        "/latest/meta-data/iam/security-credentials/other",
        "/latest/%zz",
    ] {
        for answer in [
            world.client(A).get(path).await,
            world.client(A).get_with(path, &token).await,
            world.client(B).get(path).await,
        ] {
            assert_eq!(answer.status, 404, "{path}");
            let digest = Sha256::digest(&answer.body);
            assert_eq!(digest.as_slice(), expected, "{path}");
            assert_eq!(answer.header("content-type"), "text/html", "{path}");
            assert_eq!(answer.header("content-length"), "339", "{path}");
            assert_eq!(answer.header("last-modified"), "", "{path}");
            assert_now(answer.header("date"));
        }
        // imds.md 1.2: "valid token": "also present on the 404 of a token-bearing request"
        let told = world.client(A).get_with(path, &token).await;
        assert!(told.header(TTL).parse::<u16>().is_ok(), "{path}");
    }
}

// imds.md 1.3: "401 / 403 / 405"
#[tokio::test]
async fn refusals_are_empty_text() {
    let world = start().await;
    let path = "/latest/meta-data/placement/region";
    let token = world.client(A).token().await;
    let forwarded = format!("X-aws-ec2-metadata-token: {token}\r\nX-Forwarded-For: 10.0.0.1\r\n");
    for (method, headers, status) in [
        ("GET", "X-aws-ec2-metadata-token: x\r\n", 401),
        ("GET", &*forwarded, 403),
        ("POST", "", 405),
        ("PUT", "", 405),
        ("DELETE", "", 405),
    ] {
        let answer = world.client(A).request(method, path, headers).await;
        assert_eq!(answer.seen(), (status, ""), "{method} {headers}");
        assert_eq!(answer.header("content-type"), "text/plain", "{status}");
        assert_eq!(answer.header("content-length"), "0", "{status}");
        assert_eq!(answer.header("connection"), "close", "{status}");
    }
    assert_eq!(super::asked_paths(&world), [""; 0]);
}

// imds.md 1.2: "HEAD"
#[tokio::test]
async fn a_head_has_the_headers_and_no_body() {
    let world = start().await;
    for path in [
        "/",
        "/latest/meta-data/",
        "/latest/meta-data/placement/region",
        "/latest/dynamic/instance-identity/document",
    ] {
        let (get, head) = (
            world.client(A).get(path).await,
            world.client(A).request("HEAD", path, "").await,
        );
        assert_eq!(head.seen(), (200, ""), "{path}");
        assert_eq!(head.header_names(), get.header_names(), "{path}");
        for name in ["content-length", "content-type"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}
