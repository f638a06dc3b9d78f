//! The real client against the stand-in: what it sends must be right, and what it gets must be readable.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::{
    Client,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::ProvideErrorMetadata,
    operation::RequestId as _,
};
use aws_smithy_http_client::{Builder, tls};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bpf2iam_standins::sts::{Code, Config, Effect, Fault, Rule, Sts};
use serde_json::json;

const ROLE: &str = "arn:aws:iam::123456789012:role/team/app";

fn start(rules: Vec<Rule>) -> Sts {
    let config = Config {
        rules,
        ..Config::default()
    };
    Sts::start(config).unwrap()
}

/// A client that makes one attempt.
fn client(sts: &Sts, credentials: Credentials) -> Client {
    let ring = tls::rustls_provider::CryptoMode::Ring;
    let http = Builder::new()
        .tls_provider(tls::Provider::Rustls(ring))
        .build_https();
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new("eu-west-1"))
        .endpoint_url(sts.endpoint_url())
        .retry_config(RetryConfig::disabled())
        .credentials_provider(credentials)
        .build();
    Client::from_conf(config)
}

fn node() -> Credentials {
    let token = Some("node-token".to_owned());
    Credentials::new("AKIDNODE000000000001", "node-secret", token, None, "test")
}

fn code<E: ProvideErrorMetadata>(error: &E) -> &str {
    error.code().unwrap_or_default()
}

#[tokio::test]
async fn the_sdk_assumes_a_role_and_is_that_role() {
    let sts = start(Vec::new());
    let assumed = client(&sts, node())
        .assume_role()
        .role_arn(ROLE)
        .role_session_name("shop.web-0")
        .external_id("external")
        .send()
        .await
        .unwrap();
    assert!(assumed.request_id().is_some());
    let keys = assumed.credentials().unwrap();
    let issued = sts.issued(keys.access_key_id()).unwrap();
    assert_eq!(issued.external_id.as_deref(), Some("external"));
    assert_eq!(keys.expiration().secs(), issued.expires.as_second());

    let token = Some(keys.session_token().to_owned());
    let pod = Credentials::new(
        keys.access_key_id(),
        keys.secret_access_key(),
        token,
        None,
        "test",
    );
    let identity = client(&sts, pod)
        .get_caller_identity()
        .send()
        .await
        .unwrap();
    let arn = "arn:aws:sts::123456789012:assumed-role/app/shop.web-0";
    assert_eq!(identity.arn(), Some(arn));
    assert_eq!(assumed.assumed_role_user().unwrap().arn(), arn);

    let call = &sts.calls().entries()[0];
    assert_eq!(call.signed_by.as_deref(), Some("AKIDNODE000000000001"));
    assert_eq!(call.region.as_deref(), Some("eu-west-1"));
}

#[tokio::test]
async fn the_sdk_reads_every_error_with_its_code() {
    let sts = start(Vec::new());
    let client = client(&sts, node());
    for (code_, name) in [
        (Code::AccessDenied, "AccessDenied"),
        (Code::Throttling, "Throttling"),
        (Code::ValidationError, "ValidationError"),
        (Code::ExpiredToken, "ExpiredToken"),
        (Code::RegionDisabledException, "RegionDisabledException"),
        (Code::PackedPolicyTooLarge, "PackedPolicyTooLarge"),
        (Code::InternalFailure, "InternalFailure"),
        (Code::ServiceUnavailable, "ServiceUnavailable"),
    ] {
        sts.rules().set(vec![Rule::error(code_)]);
        let call = client.assume_role().role_arn(ROLE).role_session_name("web");
        let error = call.send().await.unwrap_err();
        assert_eq!(code(&error), name);
        assert_eq!(
            error.raw_response().unwrap().status().as_u16(),
            code_.status().as_u16()
        );
        let message = error.message().unwrap();
        assert!(
            code_ != Code::AccessDenied || message.contains("is not authorized"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn the_sdk_retries_what_is_throttled() {
    let sts = start(vec![Rule::error(Code::Throttling).times(1)]);
    let config = client(&sts, node()).config().to_builder();
    let quick = RetryConfig::standard()
        .with_max_attempts(2)
        .with_initial_backoff(Duration::from_millis(1));
    let client = Client::from_conf(config.retry_config(quick).build());
    let call = client.assume_role().role_arn(ROLE).role_session_name("web");
    call.send().await.unwrap();
    assert_eq!(sts.counts()[0].calls, 2);
}

#[tokio::test]
async fn the_sdk_fails_where_there_is_no_answer_to_read() {
    let fault = |fault| Rule::always(Effect::Fault(fault));
    let sts = start(Vec::new());
    let timeout = TimeoutConfig::builder().operation_timeout(Duration::from_millis(300));
    let config = client(&sts, node()).config().to_builder();
    let client = Client::from_conf(config.timeout_config(timeout.build()).build());
    for rule in [
        fault(Fault::Garbage),
        fault(Fault::Close),
        fault(Fault::Hang),
    ] {
        sts.rules().set(vec![rule.clone()]);
        let call = client.assume_role().role_arn(ROLE).role_session_name("web");
        assert_eq!(code(&call.send().await.unwrap_err()), "", "{rule:?}");
    }
}

/// What makes it worth a test: the client sees no difference, so its user must look.
#[tokio::test]
async fn the_sdk_takes_the_beginning_of_an_answer_for_a_whole_one() {
    let sts = start(vec![Rule::always(Effect::Fault(Fault::Cut))]);
    let client = client(&sts, node());
    let call = client.assume_role().role_arn(ROLE).role_session_name("web");
    let assumed = call.send().await.unwrap();
    let keys = assumed.credentials().unwrap();
    assert!(sts.issued(keys.access_key_id()).is_some());
    assert_eq!(keys.secret_access_key(), "");
}

#[tokio::test]
async fn the_sdk_exchanges_a_web_identity() {
    let sts = start(Vec::new());
    let exp = jiff::Timestamp::now().as_second() + 600;
    let subject = "system:serviceaccount:shop:web";
    let exchange = async |audience: &str| {
        let claims = json!({"iss": "https://oidc", "sub": subject, "aud": [audience], "exp": exp});
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!("{}.{}.c2ln", part(json!({"alg": "RS256"})), part(claims));
        client(&sts, node())
            .assume_role_with_web_identity()
            .role_arn(ROLE)
            .role_session_name("shop.web-0")
            .web_identity_token(token)
            .send()
            .await
    };
    let assumed = exchange("sts.amazonaws.com").await.unwrap();
    assert_eq!(assumed.subject_from_web_identity_token(), Some(subject));
    let keys = assumed.credentials().unwrap();
    let issued = sts.issued(keys.access_key_id()).unwrap();
    assert_eq!(issued.subject.as_deref(), Some(subject));
    assert_eq!(sts.calls().entries()[0].signed_by, None);

    let error = exchange("kubernetes")
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_invalid_identity_token_exception(), "{error:?}");
}
