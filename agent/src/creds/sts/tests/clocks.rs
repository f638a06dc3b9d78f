//! Clocks that do not agree: ours says 2026-01-01 00:00, and what STS's says is in its answers.

use super::{
    web_identity::{Mint, by_token, keyless},
    *,
};

const SAME: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const LATER: &str = "Thu, 01 Jan 2026 00:10:00 GMT";
const HOURS_LATER: &str = "Thu, 01 Jan 2026 03:00:00 GMT";
const HOURS_EARLIER: &str = "Wed, 31 Dec 2025 21:00:00 GMT";

/// Keys that end at `end`, from an STS whose clock says `date`.
fn granted(date: &'static str, end: &str) -> Said {
    let Said::Http(status, body) = Said::success() else {
        panic!("success is an answer");
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    let body = body.replace("2026-01-01T01:00:00Z", end);
    Said::Http(status, body.into()).dated(date)
}

#[tokio::test]
async fn no_keys_outlive_what_was_asked_for_by_our_clock() {
    for (date, end, expected) in [
        (SAME, "2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z"),
        (LATER, "2026-01-01T01:10:00Z", "2026-01-01T01:00:00Z"),
        (HOURS_LATER, "2026-01-01T04:00:00Z", "2026-01-01T01:00:00Z"),
        (SAME, "2026-01-01T00:15:00Z", "2026-01-01T00:15:00Z"),
    ] {
        let said = granted(date, end);
        let server = Server::start(move |_| said.clone()).await;
        let keys = sts(&server).fetch(&identity()).await.unwrap();
        assert_eq!(keys.expires.to_string(), expected, "{date}: {end}");
    }
}

/// A slow answer leaves less: the session began when STS was asked.
#[tokio::test(start_paused = true)]
async fn the_time_that_an_answer_takes_is_not_added_to_the_session() {
    let server = Server::start(|_| granted(SAME, "2026-01-01T09:00:00Z")).await;
    let slow = SharedCredentialsProvider::new(Slow(Duration::from_secs(3)));
    let config = config("eu-west-1", &server.url()).into_builder();
    let config = config.credentials_provider(slow).build();
    let sts = Sts::new(&config, clock()).unwrap();
    let keys = sts.fetch(&identity()).await.unwrap();
    assert_eq!(keys.expires.to_string(), "2026-01-01T01:00:00Z");
    let asked = "2026-01-01T00:00:00Z".parse().unwrap();
    let took = keys.issued.duration_since(asked);
    assert!(took.as_secs() >= 3, "{took}");
}

#[tokio::test]
async fn keys_that_have_ended_are_refused_and_the_clock_is_blamed_where_it_is_wrong() {
    for (date, told) in [(HOURS_EARLIER, Some("3h ahead of")), (SAME, None)] {
        let said = granted(date, "2025-12-31T22:00:00Z");
        let server = Server::start(move |_| said.clone()).await;
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
        let error = error.to_string();
        assert!(error.contains("2025-12-31T22:00:00Z"), "{error}");
        assert_eq!(
            error.contains("this node's clock is "),
            told.is_some(),
            "{error}"
        );
        assert!(error.contains(told.unwrap_or_default()), "{error}");
    }
}

#[tokio::test]
async fn what_is_refused_for_its_time_tells_how_far_off_the_clock_is() {
    for code in [
        "ExpiredToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    ] {
        let said = Said::error(403, code, "as STS puts it").dated(LATER);
        let server = Server::start(move |_| said.clone()).await;
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
        let error = error.to_string();
        assert!(error.contains("this node's clock is 10m behind"), "{error}");
        assert!(error.contains("as STS puts it; this"), "{error}");
    }
    for code in ["ExpiredTokenException", "InvalidIdentityToken"] {
        let said = Said::error(400, code, "as STS puts it").dated(HOURS_EARLIER);
        let server = Server::start(move |_| said.clone()).await;
        let sts = keyless(&server, &Arc::new(Mint::default()));
        let error = sts.fetch(&by_token()).await.unwrap_err().to_string();
        assert!(
            error.contains("this node's clock is 3h ahead of"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_clock_that_is_right_or_beside_the_point_is_not_blamed() {
    for (code, date) in [
        ("ExpiredToken", SAME),
        ("SignatureDoesNotMatch", "Thu, 01 Jan 2026 00:00:59 GMT"),
        ("SignatureDoesNotMatch", "half past nine"),
        ("AccessDenied", HOURS_LATER),
        ("ValidationError", HOURS_LATER),
    ] {
        let said = Said::error(400, code, "as STS puts it").dated(date);
        let server = Server::start(move |_| said.clone()).await;
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert!(!error.to_string().contains("node's clock is "), "{error}");
    }
}
