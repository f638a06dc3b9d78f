mod caching;
mod faults;
mod flights;
mod passing;
mod tokens;
mod warming;

use bpf2iam_standins::imds::{Config, Imds, TokenPolicy};

use super::{
    http::Failure,
    metrics::{Outcome, Purpose},
    testing::upstream,
    *,
};

const REGION: &str = "meta-data/placement/region";

/// Somebody who asks.
fn pod() -> PodUid {
    "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap()
}

/// What was read, as text.
fn text(read: Result<Option<Item>, Error>) -> Option<String> {
    let item = read.unwrap()?;
    Some(String::from_utf8(item.text.to_vec()).unwrap())
}

/// Why it was not, with all causes.
fn reason<T: fmt::Debug>(read: Result<T, Error>) -> String {
    crate::chain::chain(&read.unwrap_err())
}

#[tokio::test]
async fn the_real_service_is_asked_for_each_thing_once_with_one_token() {
    for tokens in [TokenPolicy::Required, TokenPolicy::Optional] {
        let config = Config {
            tokens,
            ..Config::default()
        };
        let imds = Imds::start(config).unwrap();
        let addr = imds.addr().to_string().parse().ok().unwrap();
        let (upstream, metrics) = upstream(&addr);
        for _ in 0..3 {
            let region = upstream.read(REGION, Freshness::Lasting, pod()).await;
            assert_eq!(text(region).as_deref(), Some("eu-west-1"));
            let listing = upstream
                .read("meta-data/placement", Freshness::Brief, pod())
                .await;
            assert!(text(listing).unwrap().lines().any(|line| line == "region"));
            let nothing = upstream
                .read("meta-data/nothing", Freshness::Brief, pod())
                .await;
            assert_eq!(text(nothing), None);
        }
        let asked = imds.requests().entries();
        let paths: Vec<_> = asked.iter().map(|seen| seen.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/latest/api/token",
                "/latest/meta-data/placement/region",
                "/latest/meta-data/placement",
                "/latest/meta-data/nothing",
            ]
        );
        assert_eq!(metrics.requests(Purpose::Read, Outcome::Success), 2);
        assert_eq!(metrics.requests(Purpose::Read, Outcome::Absent), 1);
        assert_eq!(metrics.requests(Purpose::Token, Outcome::Success), 1);
        assert_eq!(metrics.reads(Origin::Service), 3);
        assert_eq!(metrics.reads(Origin::Memory), 6);
    }
}

#[tokio::test]
async fn when_it_changed_is_what_the_service_says() {
    for (header, modified) in [
        (
            "Last-Modified: Wed, 31 Dec 2025 10:00:00 GMT",
            "2025-12-31T10:00:00Z",
        ),
        ("Last-Modified: yesterday", "2026-01-01T00:00:00Z"),
        ("X-Other: x", "2026-01-01T00:00:00Z"),
    ] {
        let service =
            testing::giving_tokens(move |_| testing::status("200 OK", &[header], "x")).await;
        let (upstream, _) = upstream(&service.addr);
        let item = upstream
            .read(REGION, Freshness::Brief, pod())
            .await
            .unwrap();
        let told: Timestamp = modified.parse().unwrap();
        let off = item.unwrap().modified.duration_since(told);
        assert!(off.as_secs() == 0, "{header}");
    }
}

#[tokio::test]
async fn what_is_sent_is_a_get_with_our_token_and_nothing_else() {
    let service = testing::giving_tokens(|_| testing::ok("x")).await;
    let (upstream, _) = upstream(&service.addr);
    let odd = "meta-data/tags/instance/a b%2F?c";
    upstream.read(odd, Freshness::Brief, pod()).await.unwrap();
    let host = service.addr.authority();
    assert_eq!(
        service.heads(),
        [
            format!(
                "PUT /latest/api/token HTTP/1.1\r\n\
                 x-aws-ec2-metadata-token-ttl-seconds: 21600\r\nhost: {host}\r\n\r\n"
            ),
            format!(
                "GET /latest/meta-data/tags/instance/a%20b%252F%3Fc HTTP/1.1\r\n\
                 x-aws-ec2-metadata-token: token-1\r\nhost: {host}\r\n\r\n"
            ),
        ]
    );
}

#[tokio::test]
async fn what_is_not_canonical_is_not_there_and_nobody_is_asked() {
    let service = testing::giving_tokens(|_| testing::ok("x")).await;
    let (upstream, _) = upstream(&service.addr);
    for path in ["meta-data/../user-data", "meta-data//iam", "/meta-data"] {
        let read = upstream.read(path, Freshness::Brief, pod()).await;
        assert_eq!(text(read), None, "{path}");
    }
    assert!(service.lines().is_empty());
}
