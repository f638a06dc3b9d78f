use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::{
    creds::SessionLength,
    id::PodRef,
    pods::{
        Namespace, Pod, ServiceAccount,
        annotation::{
            ALLOWED_ROLES, ROLE, ROLE_ARN, SESSION_DURATION, SESSION_POLICY, SESSION_POLICY_ARNS,
        },
        binding::{Cluster, SessionTags, Sessions},
        restriction::{Format, Rules},
    },
};

const BASE: &str = "arn:aws:iam::123456789012:role/";
const OTHER: &str = "arn:aws:iam::999999999999:role/other";

fn annotations(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = all.iter();
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn subject(pod: &[(&str, &str)], namespace: &[(&str, &str)]) -> Subject {
    let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap();
    let mut known = Pod::new(uid, PodRef::new("shop", "cart"));
    known.service_account = Some("till".to_owned());
    known.annotations = annotations(pod);
    Subject {
        namespace: Some(Arc::new(Namespace::new(annotations(namespace)))),
        ..Subject::alone(known)
    }
}

fn policy() -> Policy {
    Policy {
        base_arn: Some(BASE.parse().unwrap()),
        default_role: Some(format!("{BASE}fallback").parse().unwrap()),
        ..Policy::new("node-1")
    }
}

fn restricted() -> Policy {
    let rules = Rules {
        format: Format::Glob,
        base_arn: Some(BASE.parse().unwrap()),
        ..Rules::default()
    };
    Policy {
        restrictions: Some(rules),
        ..policy()
    }
}

fn explain(subject: &Subject, policy: &Policy) -> Explanation {
    Explanation::new(subject, Vec::new(), policy, |_| None)
}

/// The page for people, without blanks at the ends of its lines.
fn page(explanation: &Explanation) -> String {
    let now = Timestamp::UNIX_EPOCH;
    let page = explanation.to_text(now, Colour::Off);
    page.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[test]
fn every_rule_is_shown_in_its_order_and_which_one_decides() {
    let explanation = explain(&subject(&[(ROLE, "cart")], &[]), &policy());
    assert_eq!(
        page(&explanation),
        "\
shop/cart, ServiceAccount till, uid 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0

Containers without a role of their own: arn:aws:iam::123456789012:role/cart
RULE               WHERE                                       SAYS
> annotation       pod, iam.amazonaws.com/role                 arn:aws:iam::123456789012:role/cart
  node_role        --node-role-for                             -
  service_account  ServiceAccount, eks.amazonaws.com/role-arn  -
  namespace        namespace, bpf2iam.io/default-role          -
  default          --default-role                              arn:aws:iam::123456789012:role/fallback
namespace: restricts nothing (--namespace-restrictions is off)
session: node-1, by --session-name; assumed by the node's role
duration: 3600s, by --session-duration

Metadata service
tokens: optional, by --imds-tokens
"
    );
}

#[test]
fn a_refusal_names_what_is_permitted() {
    let namespace = [(ALLOWED_ROLES, r#"["till", "team/*"]"#)];
    let explanation = explain(&subject(&[(ROLE, "cart")], &namespace), &restricted());
    let page = page(&explanation);
    for line in [
        "Containers without a role of their own: no role: the list of allowed roles does not permit it\n",
        "namespace: refuses the role: the list of allowed roles does not permit it; permitted are \"till\", \"team/*\"\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
    assert!(!page.contains("session:"), "{page}");
}

#[test]
fn what_permits_a_role_is_named_and_the_default_role_needs_nothing() {
    let namespace = [(ALLOWED_ROLES, r#"["cart", "team/*"]"#)];
    for (role, line) in [
        ("team/a", "namespace: permits the role, by \"team/*\"\n"),
        (
            "fallback",
            "namespace: every pod may have the default role\n",
        ),
    ] {
        let page = page(&explain(
            &subject(&[(ROLE, role)], &namespace),
            &restricted(),
        ));
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn the_decision_is_the_one_that_requests_get() {
    let rows = [
        subject(&[], &[]),
        subject(&[(ROLE, "")], &[]),
        subject(&[(ROLE, "cart")], &[(ALLOWED_ROLES, "[")]),
        subject(
            &[("container.bpf2iam.io/a", "none")],
            &[("bpf2iam.io/default-role", "b")],
        ),
        Subject {
            namespace: None,
            ..subject(&[], &[])
        },
        Subject {
            service_account: None,
            ..subject(&[], &[])
        },
    ];
    for subject in rows {
        for policy in [policy(), restricted()] {
            for case in explain(&subject, &policy).cases {
                let name = case.container.as_deref();
                let decided = Outcome::from(binding::decide_for(&subject, name, &policy));
                assert_eq!(case.outcome, decided, "{subject:?}");
                let deciding: Vec<_> = case.steps.iter().filter(|step| step.decides).collect();
                assert_eq!(deciding.len(), 1, "{subject:?}");
                if let Outcome::Role { rule, .. } = &case.outcome {
                    assert_eq!(deciding[0].rule, *rule);
                }
            }
        }
    }
}

#[test]
fn each_container_with_a_role_of_its_own_has_its_case() {
    let own = [
        ("container.bpf2iam.io/log", "none"),
        ("container.bpf2iam.io/main", "mains"),
    ];
    let page = page(&explain(&subject(&own, &[]), &policy()));
    for line in [
        "Container log: no role: it shall have none\n",
        "> container        pod, container.bpf2iam.io/log               no role\n",
        "Container main: arn:aws:iam::123456789012:role/mains\n",
        "Containers without a role of their own: arn:aws:iam::123456789012:role/fallback\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

/// The same, where sessions have these tags.
fn tagged(tags: &str) -> Policy {
    let tags = SessionTags::new(tags, &Cluster::default()).unwrap();
    Policy {
        sessions: Sessions {
            tags,
            ..policy().sessions
        },
        ..policy()
    }
}

const NARROW: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

#[test]
fn what_the_session_is_made_of_is_shown() {
    let all = [
        (ROLE, "cart"),
        (SESSION_POLICY, NARROW),
        (SESSION_POLICY_ARNS, READ_ONLY),
        (SESSION_DURATION, "30m"),
    ];
    let explanation = explain(
        &subject(&all, &[]),
        &tagged("kubernetes-namespace,team=pay"),
    );
    let page = page(&explanation);
    let end = format!(
        "\
session: node-1, by --session-name; assumed by the node's role
tags: kubernetes-namespace=shop, team=pay
session policy: {NARROW}
session policies: {READ_ONLY}
duration: 1800s, by bpf2iam.io/session-duration
"
    );
    assert!(page.contains(&end), "{page}");
    let json: serde_json::Value = serde_json::from_str(&explanation.to_json().unwrap()).unwrap();
    let session = serde_json::json!({
        "name_by": "--session-name",
        "tags": {"kubernetes-namespace": "shop", "team": "pay"},
        "untagged": null,
        "policy": NARROW,
        "policy_arns": [READ_ONLY],
        "duration_seconds": 1800,
        "wanted_duration_seconds": 1800,
    });
    assert_eq!(json["cases"][0]["session"], session);
}

#[test]
fn a_length_that_is_less_than_the_pod_wants_is_said() {
    let all = [(ROLE, "cart"), (SESSION_DURATION, "2h")];
    let explanation = explain(&subject(&all, &[]), &policy());
    let page = page(&explanation);
    assert!(
        page.contains(
            "duration: 3600s, by --session-duration; bpf2iam.io/session-duration wants 7200s, \
             and can only shorten it\n"
        ),
        "{page}"
    );
    let session = explanation.cases[0].session.as_ref().unwrap();
    let seconds = (session.duration_seconds, session.wanted_duration_seconds);
    assert_eq!(seconds, (3600, Some(7200)));
}

#[test]
fn what_sts_may_not_give_is_said_to_be_asked_for() {
    let long = |seconds| {
        let mut policy = policy();
        policy.sessions.length = SessionLength::from_secs(seconds).unwrap();
        policy
    };
    let wants = |length| subject(&[(ROLE, "cart"), (SESSION_DURATION, length)], &[]);
    for (subject, seconds, line) in [
        (
            wants(""),
            3601,
            "duration: asked for: 3601s, by --session-duration; one hour where STS gives no more\n",
        ),
        (
            wants("4h"),
            43_200,
            "duration: asked for: 14400s, by bpf2iam.io/session-duration; one hour where STS gives no more\n",
        ),
        (
            wants("1h"),
            43_200,
            "duration: 3600s, by bpf2iam.io/session-duration\n",
        ),
    ] {
        let page = page(&explain(&subject, &long(seconds)));
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn why_a_web_identity_has_no_tags_is_said() {
    let account = ServiceAccount {
        annotations: annotations(&[(ROLE_ARN, OTHER)]).into(),
    };
    let subject = Subject {
        service_account: Some(Arc::new(account)),
        ..subject(&[], &[])
    };
    let line = "tags: none: STS takes those of the token\n";
    assert!(page(&explain(&subject, &tagged("all"))).contains(line));
    assert!(!page(&explain(&subject, &policy())).contains("tags:"));
}

#[test]
fn what_would_narrow_a_session_can_be_supposed() {
    for (supposed, line) in [
        (
            "bpf2iam.io/session-duration=15m",
            "duration: 900s, by bpf2iam.io/session-duration\n",
        ),
        (
            "bpf2iam.io/session-policy={\"Statement\":[]}",
            "session policy: {\"Statement\":[]}\n",
        ),
        (
            "iam.amazonaws.com/session-name=night",
            "session: night, by iam.amazonaws.com/session-name; assumed by the node's role\n",
        ),
        (
            "bpf2iam.io/session-policy-arns=arn:aws:iam::aws:policy/P",
            "session policies: arn:aws:iam::aws:policy/P\n",
        ),
        (
            "bpf2iam.io/session-policy={",
            "no role: bpf2iam.io/session-policy: the session policy is no JSON object",
        ),
    ] {
        let mut question: Question = "shop/cart".parse().unwrap();
        question.suppositions = vec![Supposition::annotation(supposed).unwrap()];
        let subject = question.suppose(&subject(&[(ROLE, "cart")], &[]), None, &policy().keys);
        let page = page(&explain(&subject, &policy()));
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn what_sts_said_last_is_said() {
    let failed = Keys::Failed {
        message: "STS refuses it: not\nauthorized\u{1b}[2J".to_owned(),
        next: "2026-01-01T02:15:00Z".parse().ok(),
    };
    let subject = subject(&[(ROLE, OTHER)], &[]);
    let explanation = Explanation::new(&subject, Vec::new(), &policy(), |_| Some(failed.clone()));
    let page = page(&explanation);
    assert!(page.contains("keys: none: STS refuses"), "{page}");
    assert!(
        page.contains("not authorized [2J; asked again at 2026-01-01T02:15:00Z"),
        "{page}"
    );
}

#[test]
fn what_is_supposed_is_applied_in_its_order_and_said() {
    let mut question: Question = "shop/cart".parse().unwrap();
    question.suppositions = vec![
        Supposition::annotation("iam.amazonaws.com/role=a=b").unwrap(),
        Supposition::annotation("iam.amazonaws.com/role-").unwrap(),
        Supposition::ServiceAccount("other".to_owned()),
    ];
    let account = ServiceAccount {
        annotations: annotations(&[(ROLE_ARN, OTHER)]).into(),
    };
    let supposed = question.suppose(
        &subject(&[(ROLE, "cart")], &[]),
        Some(Arc::new(account)),
        &policy().keys,
    );
    let explanation = Explanation::new(&supposed, question.in_words(), &policy(), |_| None);
    let page = page(&explanation);
    for line in [
        "shop/cart, ServiceAccount other,",
        "supposed: the pod has the annotation iam.amazonaws.com/role: \"a=b\"\n",
        "supposed: the pod has no annotation iam.amazonaws.com/role\n",
        "supposed: the pod runs as the ServiceAccount other\n",
        "own: arn:aws:iam::999999999999:role/other\n",
        "session: node-1, by --session-name; assumed by a token of the ServiceAccount other for sts.amazonaws.com\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
}

#[test]
fn a_service_account_that_nobody_knows_is_not_taken_for_one_that_says_nothing() {
    let mut question: Question = "shop/cart".parse().unwrap();
    question.suppositions = vec![Supposition::ServiceAccount("other".to_owned())];
    let supposed = question.suppose(&subject(&[], &[]), None, &policy().keys);
    let explanation = explain(&supposed, &policy());
    assert!(matches!(
        explanation.cases[0].outcome,
        Outcome::Unknown { .. }
    ));
}

#[test]
fn a_supposed_role_is_that_of_the_annotation_whatever_it_is_called() {
    let mut policy = policy();
    policy.keys.role = "example.org/role".to_owned();
    let mut question: Question = "shop/cart".parse().unwrap();
    question.suppositions = vec![Supposition::Role("x".to_owned())];
    let supposed = question.suppose(&subject(&[], &[]), None, &policy.keys);
    let outcome = explain(&supposed, &policy).cases.remove(0).outcome;
    assert!(matches!(outcome, Outcome::Role { role, .. } if role == format!("{BASE}x")));
}

#[test]
fn what_is_no_pod_or_no_annotation_is_refused() {
    for text in ["", "cart", "/cart", "shop/", "shop/cart/x"] {
        assert!(text.parse::<Question>().is_err(), "{text:?}");
    }
    for text in ["", "key", "=value", "-"] {
        assert!(Supposition::annotation(text).is_err(), "{text:?}");
    }
}

#[test]
fn json_says_the_same() {
    let explanation = explain(&subject(&[(ROLE, "cart")], &[]), &restricted());
    let json: serde_json::Value = serde_json::from_str(&explanation.to_json().unwrap()).unwrap();
    let case = &json["cases"][0];
    assert_eq!(case["outcome"]["outcome"], "nothing");
    assert_eq!(case["restriction"]["verdict"], "refused");
    assert_eq!(case["steps"][0]["finding"], "role");
    assert_eq!(case["steps"][0]["decides"], true);
    let back: Explanation = serde_json::from_value(json).unwrap();
    assert_eq!(back, explanation);
}

mod metadata;
