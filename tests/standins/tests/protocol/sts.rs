use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bpf2iam_standins::{
    clock::{Clock, Hand},
    listen::Address,
    sts::{Config, Effect, Rule, Sts},
};
use serde_json::json;

use crate::wire::{Answer, request, send, send_unix};

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/team/app";
pub(crate) const NODE_KEY: &str = "AKIDNODE000000000001";
pub(crate) const ASSUME: &str = "Action=AssumeRole&Version=2011-06-15&RoleSessionName=web&\
                      RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fteam%2Fapp";
const WHO: &str = "Action=GetCallerIdentity&Version=2011-06-15";
pub(crate) const NOW: i64 = 1_767_323_045; // 2026-01-02T03:04:05Z

fn start(change: impl FnOnce(&mut Config)) -> (Sts, Hand) {
    let (clock, hand) = Clock::by_hand(jiff::Timestamp::from_second(NOW).unwrap());
    let mut config = Config {
        clock,
        ..Config::default()
    };
    change(&mut config);
    (Sts::start(config).unwrap(), hand)
}

pub(crate) fn start_with(rules: Vec<Rule>) -> (Sts, Hand) {
    start(|config| config.rules = rules)
}

/// The headers of a signed call, with the token of a session if there is one.
pub(crate) fn signed(key: &str, token: Option<&str>) -> String {
    let (name, header) = match token {
        Some(token) => (
            ";x-amz-security-token",
            format!("X-Amz-Security-Token: {token}\r\n"),
        ),
        None => ("", String::new()),
    };
    let signature = "0".repeat(64);
    format!(
        "X-Amz-Date: 20260102T030405Z\r\n{header}Authorization: AWS4-HMAC-SHA256 \
         Credential={key}/20260102/eu-west-1/sts/aws4_request, \
         SignedHeaders=host;x-amz-date{name}, Signature={signature}\r\n"
    )
}

pub(crate) async fn try_post(sts: &Sts, headers: &str, body: &str) -> Option<Answer> {
    let form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    let headers = format!("{form}{headers}");
    send(sts.addr(), &request("POST", "/", &headers, body)).await
}

pub(crate) async fn post(sts: &Sts, headers: &str, body: &str) -> Answer {
    try_post(sts, headers, body).await.unwrap()
}

pub(crate) async fn assume(sts: &Sts) -> Answer {
    post(sts, &signed(NODE_KEY, None), ASSUME).await
}

/// The text of the first element of this name.
pub(crate) fn element<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let rest = answer.body.split_once(&open).map_or("", |(_, rest)| rest);
    rest.split_once(&close).map_or("", |(text, _)| text)
}

fn web_identity(claims: &serde_json::Value) -> String {
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.c2ln", part(&json!({"alg": "RS256"})), part(claims));
    format!(
        "{}&WebIdentityToken={token}",
        ASSUME.replace("Action=AssumeRole", "Action=AssumeRoleWithWebIdentity")
    )
}

#[tokio::test]
async fn a_role_is_assumed_in_the_shape_of_sts() {
    let (sts, _hand) = start(|_| {});
    let answer = assume(&sts).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("Content-Type"), "text/xml");
    assert_eq!(
        answer.header("X-Amzn-Requestid"),
        element(&answer, "RequestId")
    );
    let root = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">";
    assert!(answer.body.starts_with(root), "{}", answer.body);
    assert_eq!(element(&answer, "Expiration"), "2026-01-02T04:04:05Z");
    assert_eq!(
        element(&answer, "Arn"),
        "arn:aws:sts::123456789012:assumed-role/app/web"
    );
    let key = element(&answer, "AccessKeyId");
    assert!(key.starts_with("ASIA") && key.len() == 20, "{key}");
    let issued = sts.issued(key).unwrap();
    assert_eq!(
        (issued.role.as_str(), issued.session_name.as_str()),
        (ROLE, "web")
    );
    assert_eq!(issued.duration_seconds, 3600);
    assert_eq!(sts.issued("ASIA0000000000000000"), None);
}

#[tokio::test]
async fn no_two_sessions_have_the_same_key() {
    let (sts, _hand) = start(|_| {});
    let (one, two) = (assume(&sts).await, assume(&sts).await);
    assert_ne!(element(&one, "AccessKeyId"), element(&two, "AccessKeyId"));
    assert_eq!(
        element(&one, "AssumedRoleId"),
        element(&two, "AssumedRoleId")
    );
}

#[tokio::test]
async fn everything_that_was_asked_for_can_be_looked_up_by_the_key() {
    let (sts, _hand) = start(|_| {});
    let body = format!(
        "{ASSUME}&ExternalId=a%2Fb&DurationSeconds=900&SourceIdentity=me&Tags.member.1.Key=team&\
         Tags.member.1.Value=shop&TransitiveTagKeys.member.1=team&MinimumSessionTokenSize=4000&\
         Policy=%7B%7D&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FReadOnlyAccess"
    );
    let answer = post(&sts, &signed(NODE_KEY, None), &body).await;
    let issued = sts.issued(element(&answer, "AccessKeyId")).unwrap();
    assert_eq!(issued.external_id.as_deref(), Some("a/b"));
    assert_eq!(issued.source_identity.as_deref(), Some("me"));
    assert_eq!(issued.tags["team"], "shop");
    assert_eq!(issued.transitive_tag_keys, ["team"]);
    assert_eq!(issued.policy.as_deref(), Some("{}"));
    assert_eq!(
        issued.policy_arns,
        ["arn:aws:iam::aws:policy/ReadOnlyAccess"]
    );
    assert_eq!(issued.duration_seconds, 900);
    assert_eq!(element(&answer, "SessionToken").len(), 4000);
    assert_eq!(element(&answer, "SourceIdentity"), "me");
}

#[tokio::test]
async fn calls_that_are_wrong_are_refused_with_their_reason() {
    let (sts, _hand) = start(|_| {});
    let node = signed(NODE_KEY, None);
    let ec2 = node.replace("/sts/", "/ec2/");
    let late = node.replace("030405", "024900");
    let stranger = signed("AKIA0000000000000001", None);
    let forged = signed("ASIA0000000000000001", Some("token"));
    let chained = format!("{ASSUME}&DurationSeconds=3601");
    for (headers, body, status, code) in [
        ("", ASSUME, 403, "MissingAuthenticationToken"),
        (
            "Authorization: Basic eDp5\r\n",
            ASSUME,
            400,
            "IncompleteSignature",
        ),
        (&ec2, ASSUME, 403, "SignatureDoesNotMatch"),
        (&late, ASSUME, 403, "SignatureDoesNotMatch"),
        (&stranger, ASSUME, 403, "InvalidClientTokenId"),
        (&stranger, WHO, 403, "InvalidClientTokenId"),
        (&forged, WHO, 403, "InvalidClientTokenId"),
        (
            &node,
            "Action=AssumeRole&Version=2011-06-15",
            400,
            "ValidationError",
        ),
        (
            &node,
            &ASSUME.replace("=web", "=a%3Ab"),
            400,
            "ValidationError",
        ),
        (
            &node,
            &ASSUME.replace("role%2F", "user%2F"),
            400,
            "ValidationError",
        ),
        (&node, &chained, 400, "ValidationError"),
        (&node, &ASSUME.replace("2011", "2010"), 400, "NoSuchVersion"),
        (
            &node,
            &ASSUME.replace("AssumeRole", "AssumeRoot"),
            400,
            "InvalidAction",
        ),
        (&node, "", 400, "NoSuchVersion"),
    ] {
        let answer = post(&sts, headers, body).await;
        assert_eq!(
            (answer.status, element(&answer, "Code")),
            (status, code),
            "{headers} {body}"
        );
        assert_eq!(element(&answer, "Type"), "Sender");
        assert!(
            !element(&answer, "Message").is_empty() && !element(&answer, "RequestId").is_empty()
        );
    }
    let calls = sts.calls().entries();
    assert!(calls.iter().all(|call| call.issued.is_none()), "{calls:?}");
}

#[tokio::test]
async fn whoever_signs_is_told_who_it_is() {
    let (sts, _hand) = start(|_| {});
    let node = post(&sts, &signed(NODE_KEY, None), WHO).await;
    let arn = "arn:aws:sts::123456789012:assumed-role/node-role/i-0a1b2c3d4e5f60718";
    assert_eq!(element(&node, "Arn"), arn);
    assert_eq!(element(&node, "Account"), "123456789012");

    let pod = assume(&sts).await;
    let (key, token) = (element(&pod, "AccessKeyId"), element(&pod, "SessionToken"));
    let answer = post(&sts, &signed(key, Some(token)), WHO).await;
    assert_eq!(
        element(&answer, "Arn"),
        "arn:aws:sts::123456789012:assumed-role/app/web"
    );
    assert_eq!(element(&answer, "UserId"), element(&pod, "AssumedRoleId"));

    let without = post(&sts, &signed(key, None), WHO).await;
    assert_eq!(element(&without, "Code"), "InvalidClientTokenId");
}

#[tokio::test]
async fn a_session_that_is_over_signs_no_more() {
    let short = Rule::always(Effect::Session(Duration::from_secs(2)));
    let (sts, hand) = start_with(vec![short]);
    let pod = assume(&sts).await;
    assert_eq!(element(&pod, "Expiration"), "2026-01-02T03:04:07Z");
    let headers = signed(
        element(&pod, "AccessKeyId"),
        Some(element(&pod, "SessionToken")),
    );
    hand.advance(Duration::from_secs(1));
    assert_eq!(post(&sts, &headers, WHO).await.status, 200);
    hand.advance(Duration::from_secs(1));
    let answer = post(&sts, &headers, WHO).await;
    assert_eq!(
        (answer.status, element(&answer, "Code")),
        (403, "ExpiredToken")
    );
}

#[tokio::test]
async fn a_web_identity_needs_no_signature_but_its_claims() {
    let (sts, _hand) = start(|_| {});
    let subject = "system:serviceaccount:shop:web";
    let claims = json!({"iss": "https://oidc", "sub": subject, "aud": ["sts.amazonaws.com"], "exp": NOW + 60});
    let answer = post(&sts, "", &web_identity(&claims)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(element(&answer, "SubjectFromWebIdentityToken"), subject);
    let issued = sts.issued(element(&answer, "AccessKeyId")).unwrap();
    assert_eq!(issued.subject.as_deref(), Some(subject));

    let call = &sts.calls().entries()[0];
    assert_eq!(call.signed_by, None);
    assert!(call.parameters["WebIdentityToken"].starts_with("<secret of "));

    let over = json!({"iss": "i", "sub": "s", "aud": "sts.amazonaws.com", "exp": NOW});
    let foreign = json!({"iss": "i", "sub": "s", "aud": "kubernetes", "exp": NOW + 60});
    for (claims, code) in [
        (over, "ExpiredTokenException"),
        (foreign, "InvalidIdentityToken"),
        (json!({}), "InvalidIdentityToken"),
    ] {
        let answer = post(&sts, "", &web_identity(&claims)).await;
        assert_eq!(
            (answer.status, element(&answer, "Code")),
            (400, code),
            "{claims}"
        );
    }
}

#[tokio::test]
async fn a_web_identity_may_have_a_long_session() {
    let (sts, _hand) = start(|config| config.max_session = Duration::from_hours(2));
    let claims = json!({"iss": "i", "sub": "s", "aud": "sts.amazonaws.com", "exp": NOW + 60});
    let body = web_identity(&claims);
    for (seconds, status) in [(7200, 200), (7201, 400)] {
        let answer = post(&sts, "", &format!("{body}&DurationSeconds={seconds}")).await;
        assert_eq!(answer.status, status, "{seconds}");
    }
}

#[tokio::test]
async fn calls_are_counted_by_action_and_role() {
    let (sts, _hand) = start(|_| {});
    assume(&sts).await;
    assume(&sts).await;
    post(&sts, &signed(NODE_KEY, None), WHO).await;
    let counts: Vec<_> = sts
        .counts()
        .into_iter()
        .map(|count| (count.action, count.role, count.calls))
        .collect();
    assert_eq!(
        counts,
        [
            ("AssumeRole".to_owned(), Some(ROLE.to_owned()), 2),
            ("GetCallerIdentity".to_owned(), None, 1),
        ]
    );
    let call = &sts.calls().entries()[0];
    assert_eq!(call.signed_by.as_deref(), Some(NODE_KEY));
    assert_eq!(call.region.as_deref(), Some("eu-west-1"));
    assert_eq!(call.parameters["RoleSessionName"], "web");
}

#[tokio::test]
async fn the_control_listener_tells_and_takes_rules() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let (sts, _hand) = start(|config| config.control = Some(Address::Unix(path.clone())));
    let control = async |method, target, body| {
        let request = request(method, target, "", body);
        send_unix(&path, &request).await.unwrap()
    };
    let rules = r#"[{"role":"arn:aws:iam::123456789012:role/team/app","do":{"fault":{"error":"AccessDenied"}}}]"#;
    assert_eq!(control("PUT", "/rules", rules).await.status, 204);
    assert_eq!(control("GET", "/rules", "").await.body, rules);
    assert_eq!(assume(&sts).await.status, 403);
    for wrong in ["", "{}", r#"[{"do":"explode"}]"#] {
        assert_eq!(control("PUT", "/rules", wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(
        control("GET", "/rules", "").await.body,
        rules,
        "wrong rules change nothing"
    );
    assert_eq!(control("DELETE", "/rules", "").await.status, 204);

    let granted = assume(&sts).await;
    let key = element(&granted, "AccessKeyId");
    let target = format!("/issued/{key}");
    let issued = control("GET", &target, "").await;
    assert_eq!(issued.json()["session_name"], "web");
    for secret in ["SecretAccessKey", "SessionToken"] {
        assert!(
            !issued.body.contains(element(&granted, secret)),
            "{}",
            issued.body
        );
    }
    assert_eq!(
        control("GET", "/issued/ASIA0000000000000000", "")
            .await
            .status,
        404
    );
    let counts = control("GET", "/counts", "").await.json();
    assert_eq!(
        counts,
        json!([{"action": "AssumeRole", "role": ROLE, "calls": 2}])
    );
    let calls = control("GET", "/calls", "").await.json();
    assert_eq!(calls[0]["outcome"], json!({"refused": "AccessDenied"}));
    assert_eq!(calls[1]["issued"], key);
    assert_eq!(control("DELETE", "/calls", "").await.status, 204);
    assert_eq!(sts.counts(), []);
}

#[tokio::test]
async fn the_port_of_sts_has_no_control() {
    let (sts, _hand) = start(|_| {});
    for (method, path) in [("GET", "/calls"), ("PUT", "/rules"), ("GET", "/")] {
        let answer = send(sts.addr(), &request(method, path, "", "[]"))
            .await
            .unwrap();
        assert_eq!(
            (answer.status, element(&answer, "Type")),
            (400, "Sender"),
            "{method} {path}"
        );
    }
    assert!(sts.rules().entries().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let (sts, _hand) = start(|_| {});
    let body = format!("{ASSUME}&Policy={}", "x".repeat(1 << 20));
    assert_eq!(post(&sts, &signed(NODE_KEY, None), &body).await.status, 413);
    assert!(sts.calls().entries().is_empty());
}
