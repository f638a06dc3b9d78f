use std::{collections::BTreeMap, sync::Mutex};

use jiff::SignedDuration;

use crate::{
    clock::Clock,
    creds::{Credentials, Derived, Metrics, Secret, Source, WebIdentity, web_identity::TokenError},
    id::RoleArn,
    pods::{
        Namespace, Pod, ServiceAccount,
        annotation::{
            ALLOWED_ROLES, AUDIENCE, CONTAINER, DEFAULT_ROLE, EXTERNAL_ID, NO_ROLE, PERMITTED,
            ROLE, ROLE_ARN, SESSION_DURATION, SESSION_POLICY, SESSION_POLICY_ARNS,
            TOKEN_EXPIRATION,
        },
        binding::{Cluster, SessionTags},
        index, restriction,
    },
};

use super::*;

const ARN: &str = "arn:aws:iam::123456789012:role/r";

type Annotations<'a> = &'a [(&'a str, &'a str)];

fn annotations(said: Annotations<'_>) -> BTreeMap<String, String> {
    let said = said.iter();
    said.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The pod `shop/cart-NUMBER`, its namespace and its ServiceAccount `cart`, with their annotations.
fn subject(
    number: u8,
    pod: Annotations<'_>,
    namespace: Annotations<'_>,
    account: Annotations<'_>,
) -> Subject {
    let uid: PodUid = format!("00000000-0000-0000-0000-0000000000{number:02x}")
        .parse()
        .unwrap();
    let name = format!("shop/cart-{number}").parse().unwrap();
    Subject {
        pod: Arc::new(Pod {
            service_account: Some("cart".to_owned()),
            annotations: annotations(pod),
            ..Pod::new(uid, name)
        }),
        namespace: Some(Namespace::new(annotations(namespace)).into()),
        service_account: Some(Arc::new(ServiceAccount {
            annotations: annotations(account).into(),
        })),
    }
}

fn policy() -> Policy {
    Policy {
        restrictions: Some(restriction::Rules::default()),
        ..Policy::new("node")
    }
}

/// A namespace that permits [`ARN`] and nothing else.
const PERMITTING: Annotations<'_> = &[(ALLOWED_ROLES, r#"["arn:aws:iam::123456789012:role/r"]"#)];

fn said_of(subject: &Subject) -> Vec<(Reason, String)> {
    let notices = of_pod(subject, &policy(), &HashMap::new());
    notices
        .iter()
        .map(|notice| (notice.reason, notice.note.to_string()))
        .collect()
}

#[test]
fn a_pod_that_gets_what_it_asks_for_or_asks_for_nothing_has_no_notice() {
    for (pod, namespace, account) in [
        (&[][..], &[][..], &[][..]),
        (&[(ROLE, ARN)], PERMITTING, &[]),
        (&[], PERMITTING, &[(ROLE_ARN, ARN)]),
        (&[], &[(ALLOWED_ROLES, "broken")], &[]),
        (&[(&format!("{CONTAINER}web"), NO_ROLE)], PERMITTING, &[]),
        (
            &[(ROLE, ARN), (&format!("{CONTAINER}web"), NO_ROLE)],
            PERMITTING,
            &[],
        ),
    ] {
        assert_eq!(
            said_of(&subject(1, pod, namespace, account)),
            [],
            "{pod:?} {namespace:?}"
        );
    }
    let unknown = Subject {
        namespace: None,
        ..subject(1, &[(ROLE, ARN)], PERMITTING, &[])
    };
    assert_eq!(said_of(&unknown), []);
}

/// One thing is said of the pod, for `reason`, and it has `told` in it.
fn assert_said(subject: &Subject, reason: Reason, told: &[&str]) {
    let said = said_of(subject);
    assert_eq!(said.len(), 1, "{subject:?}: {said:?}");
    let (got, note) = &said[0];
    assert_eq!(*got, reason, "{note}");
    for part in told {
        assert!(note.contains(part), "{part} in {note}");
    }
}

#[test]
fn what_is_wrong_in_the_pod_is_told_with_its_annotation() {
    let container = format!("{CONTAINER}web");
    let irsa: Annotations<'_> = &[(ROLE_ARN, ARN)];
    for (pod, account, key, told) in [
        (&[(ROLE, "a b")][..], &[][..], ROLE, "\"a b\""),
        (&[(&container, "a b")], &[], &container, "\"a b\""),
        (
            &[(ROLE, ARN), (EXTERNAL_ID, "x")],
            &[],
            EXTERNAL_ID,
            "\"x\"",
        ),
        (&[(TOKEN_EXPIRATION, "5")], irsa, TOKEN_EXPIRATION, "600"),
        (
            &[(ROLE, ARN), (SESSION_POLICY, "{")],
            &[],
            SESSION_POLICY,
            "no JSON object",
        ),
        (
            &[(ROLE, ARN), (SESSION_POLICY_ARNS, "ReadOnly")],
            &[],
            SESSION_POLICY_ARNS,
            "\"ReadOnly\" is no ARN",
        ),
        (
            &[(SESSION_DURATION, "5m")],
            irsa,
            SESSION_DURATION,
            "from 15 minutes to 12 hours",
        ),
    ] {
        let subject = subject(1, pod, PERMITTING, account);
        let place = format!("The annotation {key} of this pod is wrong: ");
        assert_said(&subject, Reason::InvalidAnnotation, &[&place, told]);
    }
}

#[test]
fn what_is_wrong_around_the_pod_is_told_with_the_object_that_has_it() {
    let (account, namespace) = (
        "of the ServiceAccount shop/cart is",
        "of the namespace shop is",
    );
    let asks: Annotations<'_> = &[(ROLE, ARN)];
    let endless: Annotations<'_> = &[(ROLE_ARN, ARN), (TOKEN_EXPIRATION, "")];
    let default: Annotations<'_> = &[(DEFAULT_ROLE, "")];
    for (pod, around, of_account, told) in [
        (
            &[][..],
            PERMITTING,
            &[(ROLE_ARN, "r")][..],
            [ROLE_ARN, account, "\"r\""],
        ),
        (&[], PERMITTING, endless, [TOKEN_EXPIRATION, account, "600"]),
        (&[], default, &[], [DEFAULT_ROLE, namespace, "\"\""]),
        (
            asks,
            &[(ALLOWED_ROLES, "[\"a")],
            &[],
            [ALLOWED_ROLES, namespace, "JSON"],
        ),
        (
            asks,
            &[(PERMITTED, "(")],
            &[],
            [PERMITTED, namespace, "\"(\""],
        ),
    ] {
        let subject = subject(1, pod, around, of_account);
        assert_said(&subject, Reason::InvalidAnnotation, &told);
    }
}

#[test]
fn a_role_that_the_namespace_forbids_is_told_with_the_annotation_that_would_permit_it() {
    let asks: Annotations<'_> = &[(ROLE, ARN)];
    for (pod, around, account, key) in [
        (asks, &[][..], &[][..], ALLOWED_ROLES),
        (asks, &[(ALLOWED_ROLES, "[]")], &[], ALLOWED_ROLES),
        (asks, &[(PERMITTED, "x")], &[], PERMITTED),
        (&[], &[], &[(ROLE_ARN, ARN)], ALLOWED_ROLES),
    ] {
        let subject = subject(1, pod, around, account);
        assert_said(
            &subject,
            Reason::RoleForbidden,
            &[key, "namespace shop", ARN],
        );
    }
}

#[test]
fn each_thing_is_told_once_of_a_pod_and_different_ones_apart() {
    let (one, two) = (format!("{CONTAINER}a"), format!("{CONTAINER}b"));
    let broken: Annotations<'_> = &[(ALLOWED_ROLES, "broken")];
    let pod: Annotations<'_> = &[(ROLE, ARN), (&one, ARN), (&two, ARN)];
    assert_eq!(said_of(&subject(1, pod, broken, &[])).len(), 1);
    let pod: Annotations<'_> = &[(ROLE, "x y"), (&one, "x y"), (&two, ARN)];
    assert_eq!(said_of(&subject(1, pod, PERMITTING, &[])).len(), 2);
}

#[test]
fn a_pod_has_a_few_notices_whatever_it_says_and_what_is_about_all_of_it_among_them() {
    let keys: Vec<_> = (0..5000)
        .map(|key| format!("{CONTAINER}c{key:04}"))
        .collect();
    let values: Vec<_> = (0..5000).map(|value| format!("no role {value}")).collect();
    let mut pod: Vec<_> = keys
        .iter()
        .zip(&values)
        .map(|(k, v)| (&**k, &**v))
        .collect();
    pod.push((ROLE, "a b"));
    let said = said_of(&subject(1, &pod, PERMITTING, &[]));
    assert_eq!(said.len(), MOST);
    assert!(said[0].1.contains("\"a b\""), "{said:?}");
}

#[test]
fn nothing_that_people_wrote_comes_out_raw_or_long() {
    let long = format!("\u{1b}[2J\n{}", "x".repeat(10_000));
    let list = format!("[\"{long}");
    for (pod, namespace) in [
        (&[(ROLE, long.as_str())][..], PERMITTING),
        (&[(ROLE, ARN), (EXTERNAL_ID, &long)], PERMITTING),
        (&[(ROLE, ARN)], &[(ALLOWED_ROLES, &list)]),
        (&[(ROLE, ARN)], &[(PERMITTED, &format!("({long}"))]),
        (&[], &[(DEFAULT_ROLE, &long)]),
    ] {
        let said = said_of(&subject(1, pod, namespace, &[]));
        let note = &said[0].1;
        assert!(note.len() < 1024, "{note}");
        assert!(
            !note.contains(|letter: char| letter.is_control()),
            "{note:?}"
        );
    }
}

fn role() -> RoleArn {
    ARN.parse().unwrap()
}

/// What STS says of who asked, and the API server of the agent. It is not for tenants.
const SECRET: &str = "User: arn:aws:sts::210987654321:assumed-role/node/i-0123456789abcdef0 is not authorized, \
                      nor is system:serviceaccount:bpf2iam:bpf2iam";

/// The ServiceAccount of the pods here, as trust policies name it.
const SUBJECT: &str = "system:serviceaccount:shop:cart";

fn denied() -> SourceError {
    SourceError::Denied {
        role: role(),
        code: "AccessDenied".to_owned(),
        message: SECRET.to_owned(),
    }
}

/// What is told of a pod for whose identity the last attempt failed so.
fn said_of_failure(subject: &Subject, failure: SourceError) -> Vec<(Reason, String)> {
    let identity = binding::identities(subject, &policy()).next().unwrap();
    let failures = [(identity, Arc::new(failure))].into();
    let notices = of_pod(subject, &policy(), &failures);
    notices
        .iter()
        .map(|notice| (notice.reason, notice.note.to_string()))
        .collect()
}

fn invalid(code: &str) -> SourceError {
    SourceError::Invalid {
        role: role(),
        code: code.to_owned(),
        message: SECRET.to_owned(),
    }
}

/// Of the pod, whose identity fails so, one thing is said, with `told` in it, and with nothing that is not for tenants.
fn assert_said_of_failure(subject: &Subject, failure: SourceError, reason: Reason, told: &[&str]) {
    let said = said_of_failure(subject, failure);
    assert_eq!(said.len(), 1, "{said:?}");
    let (got, note) = &said[0];
    assert_eq!(*got, reason);
    for part in told.iter().chain(&[ARN]) {
        assert!(note.contains(part), "{part} in {note}");
    }
    for part in ["210987654321", "i-0123456789abcdef0", "bpf2iam:bpf2iam"] {
        assert!(!note.contains(part), "{part} in {note}");
    }
    assert!(note.len() < 1024, "{note}");
}

#[test]
fn a_role_that_sts_refuses_is_told_with_what_to_change() {
    let by_node = subject(1, &[(ROLE, ARN)], PERMITTING, &[]);
    let by_token = subject(1, &[], PERMITTING, &[(ROLE_ARN, ARN), (AUDIENCE, "aud")]);
    let by_web_identity = "sts:AssumeRoleWithWebIdentity";
    for (of, failure, told) in [
        (
            &by_node,
            denied(),
            [
                "AccessDenied",
                "trust policy",
                "sts:AssumeRole ",
                "the node's role",
            ],
        ),
        (
            &by_node,
            invalid("ValidationError"),
            ["ValidationError", "does not take", "log", ""],
        ),
        (
            &by_token,
            denied(),
            ["AccessDenied", by_web_identity, SUBJECT, "\"aud\""],
        ),
        (
            &by_token,
            invalid("InvalidIdentityToken"),
            ["InvalidIdentityToken", "OIDC", "123456789012", "\"aud\""],
        ),
    ] {
        assert_said_of_failure(of, failure, Reason::RoleRefusedBySts, &told);
    }
}

/// The pod `shop/cart-1` with these annotations, whose role the node's role assumes.
fn narrowed(more: Annotations<'_>) -> Subject {
    subject(1, &[&[(ROLE, ARN)], more].concat(), PERMITTING, &[])
}

const NARROW: (&str, &str) = (SESSION_POLICY, r#"{"Statement":[]}"#);

#[test]
fn a_refusal_is_told_with_the_tags_and_the_external_id_that_were_sent() {
    let tags = SessionTags::new("team=pay", &Cluster::default()).unwrap();
    for (of, tags, told) in [
        (
            narrowed(&[]),
            SessionTags::default(),
            "must allow sts:AssumeRole to the node's role, and the node's role needs sts:AssumeRole on it",
        ),
        (
            narrowed(&[(EXTERNAL_ID, "partner-7")]),
            SessionTags::default(),
            "sts:AssumeRole to the node's role with the pod's external id, and the node's role needs sts:AssumeRole on",
        ),
        (
            narrowed(&[(EXTERNAL_ID, "partner-7")]),
            tags,
            "must allow sts:AssumeRole and sts:TagSession to the node's role with the pod's external id, and the \
             node's role needs sts:AssumeRole and sts:TagSession on it",
        ),
    ] {
        let mut policy = policy();
        policy.sessions.tags = tags;
        let identity = binding::identities(&of, &policy).next().unwrap();
        let (reason, note) = text::of_failure(&identity, &denied()).unwrap();
        assert_eq!(reason, Reason::RoleRefusedBySts);
        assert!(note.contains(told), "{told}\n{note}");
        assert!(!note.contains("partner-7"), "{note}");
    }
}

#[test]
fn policies_that_sts_does_not_take_are_told_with_their_annotations() {
    let managed = (SESSION_POLICY_ARNS, "arn:aws:iam::aws:policy/P");
    let malformed = "MalformedPolicyDocument";
    let large = "PackedPolicyTooLarge";
    let annotation = Reason::InvalidAnnotation;
    for (of, code, reason, told) in [
        (
            narrowed(&[NARROW]),
            malformed,
            annotation,
            "The annotation bpf2iam.io/session-policy of this pod is wrong: ",
        ),
        (
            narrowed(&[managed]),
            malformed,
            annotation,
            "The annotation bpf2iam.io/session-policy-arns of this pod is wrong: ",
        ),
        (
            narrowed(&[NARROW, managed]),
            large,
            annotation,
            "The annotation bpf2iam.io/session-policy or bpf2iam.io/session-policy-arns of this pod is wrong: ",
        ),
        (narrowed(&[NARROW]), large, annotation, "shorten it"),
        // With no policies it is no annotation's fault, and what else is wrong is not theirs.
        (
            narrowed(&[]),
            large,
            Reason::RoleRefusedBySts,
            "does not take the request",
        ),
        (
            narrowed(&[NARROW]),
            "ValidationError",
            Reason::RoleRefusedBySts,
            "does not take the request",
        ),
    ] {
        assert_said_of_failure(&of, invalid(code), reason, &[code, told]);
    }
}

#[test]
fn a_token_that_there_is_not_is_told_with_whose_it_is_and_what_for() {
    let by_token = subject(1, &[], PERMITTING, &[(ROLE_ARN, ARN), (AUDIENCE, "aud")]);
    let words = || SECRET.to_owned();
    for (reason, why) in [
        (
            TokenError::Forbidden(words()),
            "deploy/manifests/2-web-identity.yaml",
        ),
        (TokenError::NoServiceAccount(words()), "does not exist"),
        (TokenError::Refused(words()), "makes no such token"),
    ] {
        let told = [why, SUBJECT, "\"aud\""];
        let lack = Reason::NoServiceAccountToken;
        assert_said_of_failure(&by_token, no_token(reason), lack, &told);
    }
}

#[test]
fn a_refusal_for_a_reason_that_nobody_knows_names_the_token_that_was_shown() {
    let by_token = subject(1, &[], PERMITTING, &[(ROLE_ARN, ARN)]);
    let failure = SourceError::Denied {
        role: role(),
        code: "Unheard".to_owned(),
        message: SECRET.to_owned(),
    };
    let (_, note) = said_of_failure(&by_token, failure).remove(0);
    for part in ["Unheard", SUBJECT] {
        assert!(note.contains(part), "{part} in {note}");
    }
}

fn no_token(reason: TokenError) -> SourceError {
    let whose = WebIdentity {
        pod: "shop/cart-1".parse().unwrap(),
        uid: "00000000-0000-0000-0000-000000000001".parse().unwrap(),
        service_account: "cart".into(),
        audience: "aud".into(),
        life: 600,
    };
    SourceError::NoToken {
        role: role(),
        whose: whose.into(),
        reason,
    }
}

#[test]
fn what_will_pass_by_itself_is_not_told() {
    let subject = subject(1, &[], PERMITTING, &[(ROLE_ARN, ARN)]);
    let message = || "later".to_owned();
    for failure in [
        SourceError::Throttled { message: message() },
        SourceError::Unavailable {
            role: role(),
            message: message(),
        },
        no_token(TokenError::OtherPod(message())),
    ] {
        assert_eq!(said_of_failure(&subject, failure), []);
    }
}

#[test]
fn a_failure_of_another_identity_is_nothing_of_this_pod() {
    let failing = subject(
        1,
        &[(ROLE, "arn:aws:iam::123456789012:role/other")],
        &[],
        &[],
    );
    let policy = Policy::new("node");
    let identity = binding::identities(&failing, &policy).next().unwrap();
    let failures = [(identity, Arc::new(denied()))].into();
    assert_eq!(of_pod(&failing, &policy, &failures).len(), 1);
    let other = subject(2, &[(ROLE, ARN)], &[], &[]);
    assert_eq!(of_pod(&other, &policy, &failures), []);
}

/// Refuses one role, gives keys for the others.
#[derive(Debug)]
struct Sts(Clock);

impl Source for Sts {
    async fn fetch(&self, identity: &Identity) -> Result<Credentials, SourceError> {
        if identity.role == role() {
            return Err(denied());
        }
        Ok(Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: Secret::new("secret"),
            session_token: Secret::new("token"),
            issued: self.0.now(),
            expires: self.0.now() + SignedDuration::from_hours(1),
            document: Derived::default(),
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Heard(Arc<Mutex<Vec<String>>>, Arc<Mutex<Vec<Notice>>>);

impl Crier for Heard {
    fn tell(&self, notice: Notice) {
        let heard = format!(
            "{} {} x{}",
            notice.pod,
            notice.reason.as_str(),
            notice.times
        );
        self.0.lock().unwrap().push(heard);
        let mut deaf = self.1.lock().unwrap();
        if notice.note.contains("deaf") {
            deaf.push(notice);
        }
    }

    fn unheard(&self) -> Vec<Notice> {
        std::mem::take(&mut *self.1.lock().unwrap())
    }
}

impl Heard {
    /// What was told in the last so many seconds.
    async fn within(&self, seconds: u64) -> Vec<String> {
        time::sleep(Duration::from_secs(seconds)).await;
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn pods_and_credentials_are_followed_until_the_end() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let cache = Cache::new(Sts(clock), clock, Metrics::new());
    let (writer, store) = index::new();
    let (signal, drain) = drain::channel();
    let heard = Heard::default();
    let crier: Arc<dyn Crier> = Arc::new(heard.clone());
    let policy = Arc::new(Policy::new("node"));
    let following = tokio::spawn(run(
        store.clone(),
        Arc::clone(&policy),
        cache.clone(),
        Some(crier),
        drain.clone(),
    ));
    let warming = tokio::spawn(crate::warm::run(store, policy, cache, drain));
    assert_eq!(heard.within(60).await, [""; 0]);

    let bad = subject(1, &[(ROLE, "no role")], &[], &[]);
    let refused = subject(2, &[(ROLE, ARN)], &[], &[]);
    let good = subject(
        3,
        &[(ROLE, "arn:aws:iam::123456789012:role/other")],
        &[],
        &[],
    );
    writer.reset([bad.clone(), good.clone()]);
    assert_eq!(heard.within(1).await, ["shop/cart-1 InvalidAnnotation x1"]);
    writer.reset([bad.clone(), refused, good.clone()]);
    assert_eq!(heard.within(10).await, ["shop/cart-2 RoleRefusedBySTS x1"]);
    assert_eq!(heard.within(540).await, [""; 0]);
    let mut again = heard.within(65).await;
    again.sort();
    assert_eq!(
        again,
        [
            "shop/cart-1 InvalidAnnotation x2",
            "shop/cart-2 RoleRefusedBySTS x2"
        ]
    );
    writer.reset([good]);
    assert_eq!(heard.within(3600).await, [""; 0]);

    assert!(signal.drain(Duration::from_secs(5)).await);
    following.await.unwrap();
    warming.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_passed_on_is_told_again_soon() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let cache = Cache::new(Sts(clock), clock, Metrics::new());
    let (writer, store) = index::new();
    let (_signal, drain) = drain::channel();
    let heard = Heard::default();
    let crier: Arc<dyn Crier> = Arc::new(heard.clone());
    let policy = Arc::new(Policy::new("node"));
    tokio::spawn(run(store, policy, cache, Some(crier), drain));
    writer.reset([
        subject(1, &[(ROLE, "no role")], &[], &[]),
        subject(2, &[(ROLE, "no role, deaf")], &[], &[]),
    ]);
    assert_eq!(heard.within(30).await.len(), 2);
    let told = ["shop/cart-2 InvalidAnnotation x1"];
    assert_eq!(heard.within(60).await, told);
    assert_eq!(heard.within(60).await, [""; 0]);
    assert_eq!(heard.within(90).await, told);
}

#[tokio::test(start_paused = true)]
async fn pods_that_change_a_thousand_times_a_second_are_looked_at_twice() {
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let cache = Cache::new(Sts(clock), clock, Metrics::new());
    let (writer, store) = index::new();
    let (_signal, drain) = drain::channel();
    let heard = Heard::default();
    let crier: Arc<dyn Crier> = Arc::new(heard.clone());
    tokio::spawn(run(
        store,
        Arc::new(Policy::new("node")),
        cache,
        Some(crier),
        drain,
    ));
    for change in 0..1000 {
        let role = format!("no role {change}");
        writer.reset([subject(1, &[(ROLE, &role)], &[], &[])]);
        time::sleep(Duration::from_millis(1)).await;
    }
    assert!(heard.within(1).await.len() <= 4);
}

mod metadata;
