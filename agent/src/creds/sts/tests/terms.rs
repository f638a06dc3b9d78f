//! What of an identity is sent to STS, and what comes back whole.

use std::collections::BTreeMap;

use crate::creds::{Policies, Tags};

use super::{
    web_identity::{Mint, by_token, keyless},
    *,
};

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*"}]}"#;
const ARNS: [&str; 2] = [
    "arn:aws:iam::123456789012:policy/team/read-only",
    "arn:aws:iam::aws:policy/ReadOnlyAccess",
];

/// `identity`, of which everything is said that can be said.
fn with_everything(identity: Identity) -> Identity {
    let policies = Policies::new(Some(POLICY), Some(&ARNS.join(",")), &identity.role).unwrap();
    Identity {
        external_id: Some("id:/1".parse().unwrap()),
        tags: Tags::new([("kubernetes-namespace", "shop"), ("Cost Centre", "")]).unwrap(),
        policies,
        length: SessionLength::LEAST,
        ..identity
    }
}

/// The parameters of the only call, but for those that every call has.
fn sent(server: &Server) -> BTreeMap<String, String> {
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let mut form: BTreeMap<String, String> = form_urlencoded::parse(asked[0].body.as_bytes())
        .into_owned()
        .collect();
    for usual in ["Action", "Version", "RoleArn", "RoleSessionName"] {
        assert!(form.remove(usual).is_some(), "{usual}");
    }
    form
}

fn form<const N: usize>(fields: [(&str, &str); N]) -> BTreeMap<String, String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    fields.map(owned).into()
}

#[tokio::test]
async fn everything_that_an_identity_says_is_sent() {
    let server = Server::start(|_| Said::success()).await;
    let identity = with_everything(identity());
    sts(&server).fetch(&identity).await.unwrap();
    let expected = form([
        ("DurationSeconds", "900"),
        ("ExternalId", "id:/1"),
        ("Policy", POLICY),
        ("PolicyArns.member.1.arn", ARNS[0]),
        ("PolicyArns.member.2.arn", ARNS[1]),
        ("Tags.member.1.Key", "Cost Centre"),
        ("Tags.member.1.Value", ""),
        ("Tags.member.2.Key", "kubernetes-namespace"),
        ("Tags.member.2.Value", "shop"),
        ("TransitiveTagKeys.member.1", "Cost Centre"),
        ("TransitiveTagKeys.member.2", "kubernetes-namespace"),
    ]);
    assert_eq!(sent(&server), expected);
}

#[tokio::test]
async fn a_web_identity_sends_neither_tags_nor_an_external_id() {
    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let identity = with_everything(by_token());
    let sts = keyless(&server, &Arc::new(Mint::default()));
    sts.fetch(&identity).await.unwrap();
    let expected = form([
        ("DurationSeconds", "900"),
        ("Policy", POLICY),
        ("PolicyArns.member.1.arn", ARNS[0]),
        ("PolicyArns.member.2.arn", ARNS[1]),
        ("WebIdentityToken", "eyJhbGciOiJSUzI1NiJ9.EXAMPLE.0"),
    ]);
    assert_eq!(sent(&server), expected);
}

#[tokio::test]
async fn what_is_not_said_is_not_sent() {
    let server = Server::start(|_| Said::success()).await;
    sts(&server).fetch(&identity()).await.unwrap();
    assert_eq!(sent(&server), form([("DurationSeconds", "3600")]));

    let server = Server::start(|_| Said::success_of_web_identity()).await;
    let sts = keyless(&server, &Arc::new(Mint::default()));
    sts.fetch(&by_token()).await.unwrap();
    let names: Vec<_> = sent(&server).into_keys().collect();
    assert_eq!(names, ["DurationSeconds", "WebIdentityToken"]);
}

#[tokio::test]
async fn a_token_of_four_kilobytes_is_passed_on_whole() {
    let Said::Http(status, whole) = Said::success() else {
        panic!("success is an answer");
    };
    let long = "x+/=".repeat(1024);
    let whole = String::from_utf8(whole.to_vec()).unwrap();
    let said = Said::Http(status, whole.replace("pod-token", &long).into());
    let server = Server::start(move |_| said.clone()).await;
    let keys = sts(&server).fetch(&identity()).await.unwrap();
    assert_eq!(keys.session_token.expose(), long);
}
