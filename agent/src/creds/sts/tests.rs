mod advice;
mod clocks;
mod https;
mod length;
mod look;
mod node_keys;
mod region;
mod server;
mod terms;
mod web_identity;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aws_config::SdkConfig;

use aws_credential_types::{
    Credentials as NodeKeys,
    provider::{self, ProvideCredentials, SharedCredentialsProvider, future},
};
use aws_sdk_sts::config::{Region, SharedHttpClient};
use tokio::task::JoinSet;

use server::{Answer as Said, Server};

use super::{
    setup::{CALL, behaviour},
    *,
};

/// A secret of the node: must never be seen.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";
const TOKEN: &str = "IQoJb3JpZ2luX2VjEXAMPLE";

fn identity() -> Identity {
    Identity::new(
        "arn:aws:iam::123456789012:role/team/cart".parse().unwrap(),
        "node-1",
    )
}

fn node_keys() -> NodeKeys {
    NodeKeys::new("AKIDNODE1", SECRET, Some(TOKEN.to_owned()), None, "test")
}

/// The SDK's configuration, all of it given: it looks nowhere for region or keys.
fn config(region: &str, endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(behaviour())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(node_keys()))
        .endpoint_url(endpoint)
        .http_client(plain())
        .build()
}

/// A client without TLS: a debug build of the SDK panics where the machine trusts no certificates.
fn plain() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn sts(server: &Server) -> Sts {
    let config = config("eu-west-1", &server.url());
    Sts::new(&config, clock()).unwrap()
}

fn clock() -> Clock {
    Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap())
}

#[tokio::test]
async fn keys_come_with_the_times_of_sts_and_of_our_clock() {
    let server = Server::start(|_| Said::success()).await;
    let keys = sts(&server).fetch(&identity()).await.unwrap();
    assert_eq!(keys.access_key_id, "ASIAEXAMPLE");
    assert_eq!(keys.secret_access_key.expose(), "pod-secret");
    assert_eq!(keys.session_token.expose(), "pod-token");
    assert_eq!(keys.expires.to_string(), "2026-01-01T01:00:00Z");
    assert_eq!(
        keys.issued.strftime("%FT%H:%M").to_string(),
        "2026-01-01T00:00"
    );

    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    for part in [
        "Action=AssumeRole&",
        "RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Fcart",
        "RoleSessionName=node-1",
        "DurationSeconds=3600",
    ] {
        assert!(asked[0].body.contains(part), "{part} in {}", asked[0].body);
    }
    assert!(asked[0].authorization.contains("AKIDNODE1/"), "{asked:?}");
    assert!(
        asked[0]
            .authorization
            .contains("/eu-west-1/sts/aws4_request"),
        "{asked:?}"
    );
}

/// What the table below expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Denied,
    Throttled,
    Invalid,
    Unavailable,
    NoToken,
}

impl From<&SourceError> for Kind {
    fn from(error: &SourceError) -> Self {
        match error {
            SourceError::Denied { .. } => Self::Denied,
            SourceError::Throttled { .. } => Self::Throttled,
            SourceError::Invalid { .. } => Self::Invalid,
            SourceError::Unavailable { .. } => Self::Unavailable,
            SourceError::NoToken { .. } => Self::NoToken,
        }
    }
}

#[tokio::test]
async fn each_error_of_sts_is_what_its_code_says() {
    let cases = [
        (403, "AccessDenied", Kind::Denied),
        (400, "ValidationError", Kind::Invalid),
        (400, "MalformedPolicyDocument", Kind::Invalid),
        (400, "PackedPolicyTooLarge", Kind::Invalid),
        (400, "Throttling", Kind::Throttled),
        (400, "ThrottlingException", Kind::Throttled),
        (503, "RequestLimitExceeded", Kind::Throttled),
        (429, "TooManyRequests", Kind::Throttled),
        (500, "InternalFailure", Kind::Unavailable),
        (503, "ServiceUnavailable", Kind::Unavailable),
        (403, "ExpiredToken", Kind::Unavailable),
        (400, "ExpiredTokenException", Kind::Unavailable),
        (403, "InvalidClientTokenId", Kind::Unavailable),
        (403, "SignatureDoesNotMatch", Kind::Unavailable),
        (400, "RequestExpired", Kind::Unavailable),
        (400, "InvalidIdentityToken", Kind::Denied),
        (400, "IDPCommunicationError", Kind::Unavailable),
        (403, "IDPRejectedClaim", Kind::Denied),
        (403, "RegionDisabledException", Kind::Denied),
        (403, "SomethingNew", Kind::Denied),
        (400, "SomethingNew", Kind::Denied),
        (429, "SomethingNew", Kind::Throttled),
        (500, "SomethingNew", Kind::Unavailable),
    ];
    let mut tries = JoinSet::new();
    for (status, code, expected) in cases {
        tries.spawn(async move {
            let said = Said::error(status, code, "as STS puts it");
            let server = Server::start(move |_| said.clone()).await;
            let error = sts(&server).fetch(&identity()).await.unwrap_err();
            assert_eq!(Kind::from(&error), expected, "{status} {code}: {error}");
            assert!(
                error.to_string().contains("as STS puts it"),
                "{code}: {error}"
            );
        });
    }
    while let Some(tried) = tries.join_next().await {
        tried.unwrap();
    }
}

#[tokio::test]
async fn what_is_no_answer_of_sts_is_unavailable() {
    let without_keys = "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>";
    let cases = [
        (200, "<html>a captive portal</html>"),
        (200, without_keys),
        (200, ""),
        (
            503,
            "<html><h1>503 Service Temporarily Unavailable</h1></html>",
        ),
        (502, ""),
        (403, "<html>a proxy that does not know us</html>"),
    ];
    for (status, body) in cases {
        let server = Server::start(move |_| Said::new(status, body)).await;
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert_eq!(
            Kind::from(&error),
            Kind::Unavailable,
            "{status} {body}: {error}"
        );
    }
}

/// The SDK takes what was cut off for a good answer, with empty keys in it.
#[tokio::test]
async fn an_answer_without_the_whole_keys_is_unavailable_and_what_lacks_is_told() {
    let Said::Http(_, whole) = Said::success() else {
        panic!("success is an answer");
    };
    let whole = String::from_utf8(whole.to_vec()).unwrap();
    let until = |element: &str| whole.split(element).next().unwrap().to_owned();
    for (body, lack) in [
        (until("<AccessKeyId>"), "access key"),
        (until("ASIAEXAMPLE"), "access key"),
        (until("<SecretAccessKey>"), "secret key"),
        (until("<SessionToken>"), "session token"),
        (whole.replace("pod-token", ""), "session token"),
    ] {
        let said = Said::new(200, body.clone());
        let server = Server::start(move |_| said.clone()).await;
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{body}: {error}");
        let message = error.to_string();
        assert!(
            message.ends_with(&format!("no {lack}")),
            "{body}: {message}"
        );
    }
}

#[tokio::test]
async fn who_does_not_listen_is_unavailable_and_the_cause_is_told() {
    let nobody = config("eu-west-1", "http://127.0.0.1:1");
    let sts = Sts::new(&nobody, clock()).unwrap();
    let error = sts.fetch(&identity()).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::Unavailable);
    assert!(error.to_string().contains("refused"), "{error}");
}

/// Time is paused: it jumps to the next timeout as soon as everybody waits.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_soon_is_given_up_within_seconds() {
    for said in [Said::Nothing, Said::Later] {
        let again = said.clone();
        let server = Server::start(move |_| again.clone()).await;
        let start = tokio::time::Instant::now();
        let error = sts(&server).fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{said:?}: {error}");
        assert!(start.elapsed() <= CALL, "{said:?}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn what_fails_is_asked_once_for_the_schedule_knows_when_to_ask_again() {
    for (status, code) in [
        (403, "AccessDenied"),
        (400, "Throttling"),
        (500, "InternalFailure"),
        (503, "ServiceUnavailable"),
    ] {
        let server = Server::start(move |_| Said::error(status, code, "no")).await;
        assert!(sts(&server).fetch(&identity()).await.is_err());
        assert_eq!(server.asked().len(), 1, "{code}");
    }
}

/// Gives keys after a while.
#[derive(Debug)]
struct Slow(Duration);

impl ProvideCredentials for Slow {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            tokio::time::sleep(self.0).await;
            Ok(node_keys())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn slow_keys_to_sign_with_do_not_make_an_attempt_longer() {
    for seconds in [5, 1_000_000] {
        let server = Server::start(|_| Said::Nothing).await;
        let slow = Slow(Duration::from_secs(seconds));
        let config = config("eu-west-1", &server.url())
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(slow))
            .build();
        let start = tokio::time::Instant::now();
        let sts = Sts::new(&config, clock()).unwrap();
        let error = sts.fetch(&identity()).await.unwrap_err();
        assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
        assert!(start.elapsed() <= CALL, "{seconds}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn no_keys_to_sign_with_are_told_of() {
    let server = Server::start(|_| Said::success()).await;
    let mut config = config("eu-west-1", &server.url()).into_builder();
    config.set_credentials_provider(None);
    let sts = Sts::new(&config.build(), clock()).unwrap();
    let error = sts.fetch(&identity()).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::Unavailable, "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn nothing_secret_is_in_what_is_told() {
    // As AWS answers a wrong signature: with the request that it expected.
    let echo = format!(
        "The request signature we calculated does not match the signature you provided.\n\n\
         The Canonical String for this request should have been\n'POST\n/\n\n\
         host:sts.eu-west-1.amazonaws.com\nx-amz-security-token:{TOKEN}\n'"
    );
    let server = Server::start(move |_| Said::error(403, "SignatureDoesNotMatch", &echo)).await;
    let sts = sts(&server);
    let error = sts.fetch(&identity()).await.unwrap_err();
    assert!(error.to_string().contains("does not match"), "{error}");
    for told in [error.to_string(), format!("{error:?}"), format!("{sts:?}")] {
        assert!(!told.contains(TOKEN) && !told.contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn a_long_message_is_cut() {
    let long = format!(
        "Encoded authorization failure message: {}",
        "x".repeat(5000)
    );
    let server = Server::start(move |_| Said::error(403, "AccessDenied", &long)).await;
    let error = sts(&server).fetch(&identity()).await.unwrap_err();
    assert!(error.to_string().len() < 700, "{}", error.to_string().len());
    assert!(error.to_string().contains("xxx...; the role's"), "{error}");
}

#[tokio::test]
async fn a_role_of_another_partition_is_refused_without_a_call() {
    let server = Server::start(|_| Said::success()).await;
    let identity = Identity {
        role: "arn:aws-cn:iam::123456789012:role/r".parse().unwrap(),
        ..identity()
    };
    let error = sts(&server).fetch(&identity).await.unwrap_err();
    assert_eq!(Kind::from(&error), Kind::Invalid, "{error}");
    assert!(server.asked().is_empty());
}

/// Applying such an endpoint fails, and the SDK's words for it have the request in them.
#[derive(Debug)]
struct Garbage;

impl aws_sdk_sts::config::endpoint::ResolveEndpoint for Garbage {
    fn resolve_endpoint<'a>(
        &'a self,
        _params: &'a aws_sdk_sts::config::endpoint::Params,
    ) -> aws_sdk_sts::config::endpoint::EndpointFuture<'a> {
        let endpoint = aws_sdk_sts::config::endpoint::Endpoint::builder();
        let endpoint = endpoint.url("garbage").build();
        aws_sdk_sts::config::endpoint::EndpointFuture::ready(Ok(endpoint))
    }
}

/// `sts`, with such an endpoint.
fn garbled(sts: Sts) -> Sts {
    let client = sts.node.client();
    let config = client.config().to_builder().endpoint_resolver(Garbage);
    let node = Node::new(config.build(), None);
    Sts { node, ..sts }
}

#[tokio::test]
async fn a_request_that_cannot_be_sent_is_not_repeated() {
    let config = config("eu-west-1", "http://127.0.0.1:1");
    let sts = garbled(Sts::new(&config, clock()).unwrap());
    let identity = Identity {
        external_id: Some("hunter2".parse().unwrap()),
        ..identity()
    };
    let error = sts.fetch(&identity).await.unwrap_err();
    for told in [error.to_string(), format!("{error:?}")] {
        for secret in ["hunter2", "Request", TOKEN, SECRET] {
            assert!(!told.contains(secret), "{told}");
        }
        assert!(told.contains("AWS_ENDPOINT_URL_STS"), "{told}");
    }
}

#[test]
fn a_region_or_an_endpoint_that_is_none_is_refused_at_the_start() {
    let refused = |region, url| Sts::new(&config(region, url), clock()).unwrap_err();
    let error = refused("eu west", "http://127.0.0.1:1").to_string();
    assert!(
        error.contains("\"eu west\" is no name of an AWS region"),
        "{error}"
    );
    let error = refused("eu-west-1", "garbage").to_string();
    assert!(error.contains("is \"garbage\", which is no URL"), "{error}");
}

#[test]
fn without_a_region_there_is_no_sts() {
    let nowhere = SdkConfig::builder().behavior_version(behaviour()).build();
    let error = Sts::new(&nowhere, Clock::system()).unwrap_err();
    assert!(matches!(error, Error::NoRegion));
    assert!(error.to_string().contains("set AWS_REGION"), "{error}");
}

#[tokio::test]
async fn the_global_endpoint_is_never_used() {
    for region in ["aws-global", "aws-cn-global"] {
        let config = config(region, "http://127.0.0.1:1");
        let error = Sts::new(&config, clock()).unwrap_err();
        assert!(matches!(error, Error::GlobalRegion(_)), "{region}: {error}");
    }
}
