use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    creds::Identity,
    id::PodRef,
    pods::{
        ServiceAccount, Subject,
        annotation::{Keys, ROLE, ROLE_ARN},
        binding::{Binding, Policy, decide},
    },
};

const ROLE_A: &str = "arn:aws:iam::123456789012:role/a";
const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[]}"#;
const ARN: &str = "arn:aws:iam::123456789012:policy/team/read-only";

/// Sessions as the operator may want them.
fn sessions() -> Sessions {
    let cluster = Cluster::default();
    Sessions {
        name: Template::new(Template::USUAL, "node-1").unwrap(),
        tags: SessionTags::new("all,team=pay", &cluster).unwrap(),
        length: SessionLength::HOUR,
    }
}

/// A pod with these annotations, as far as they are kept.
fn subject(all: &[(&str, &str)]) -> Subject {
    let all: BTreeMap<_, _> = all
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut pod = Pod::new(UID.parse().unwrap(), PodRef::new("shop", "cart"));
    pod.service_account = Some("till".to_owned());
    pod.annotations = Keys::default().of_pod(&all, &BTreeSet::new()).unwrap();
    Subject::alone(pod)
}

fn decided(subject: &Subject, sessions: Sessions) -> Binding {
    let policy = Policy {
        sessions,
        ..Policy::new("")
    };
    decide(subject, None, &policy)
}

/// What a pod gets that names its role itself.
fn binding(all: &[(&str, &str)]) -> Binding {
    decided(&subject(&[&[(ROLE, ROLE_A)], all].concat()), sessions())
}

fn identity(binding: Binding) -> Identity {
    match binding {
        Binding::Role(identity, _) => identity,
        other @ (Binding::Node(_)
        | Binding::Nothing(_)
        | Binding::Invalid(..)
        | Binding::Forbidden(..)
        | Binding::Unknown(_)) => panic!("{other:?}"),
    }
}

/// Why a pod with these annotations has no role.
fn refusal(all: &[(&str, &str)]) -> String {
    match binding(all) {
        Binding::Invalid(_, reason) => reason.to_string(),
        other @ (Binding::Role(..)
        | Binding::Node(_)
        | Binding::Nothing(_)
        | Binding::Forbidden(..)
        | Binding::Unknown(_)) => panic!("{other:?}"),
    }
}

/// JSON of so many characters that are `filling`.
fn json(length: usize, filling: char) -> String {
    let head = r#"{"Statement":[],"Id":""#;
    let filling = String::from(filling).repeat(length - head.len() - 2);
    format!("{head}{filling}\"}}")
}

#[test]
fn a_session_is_what_the_operator_says_where_the_pod_says_nothing() {
    let empty = [
        (SESSION_NAME, ""),
        (SESSION_POLICY, ""),
        (SESSION_POLICY_ARNS, ""),
        (SESSION_DURATION, ""),
    ];
    for all in [&[][..], &empty] {
        let identity = identity(binding(all));
        assert_eq!(&*identity.session_name, "shop.cart");
        let tags: Vec<_> = identity.tags.iter().collect();
        assert_eq!(tags.len(), 5, "{tags:?}");
        assert!(tags.contains(&("team", "pay")), "{tags:?}");
        assert!(tags.contains(&("kubernetes-pod-uid", UID)), "{tags:?}");
        assert!(identity.policies.is_empty());
        assert_eq!(identity.length, SessionLength::HOUR);
    }
}

#[test]
fn a_pod_names_its_session_itself() {
    let long = "s".repeat(3000);
    for (said, name) in [
        ("night", "night".to_owned()),
        ("night run", session_name("night run")),
        ("{pod}", session_name("{pod}")),
        (&long, session_name(&"s".repeat(2049))),
    ] {
        let identity = identity(binding(&[(SESSION_NAME, said)]));
        assert_eq!(*identity.session_name, *name, "{said}");
    }
}

#[test]
fn pods_share_a_session_only_where_they_call_it_the_same_and_ask_for_nothing_else() {
    let plain = Sessions {
        tags: SessionTags::default(),
        ..sessions()
    };
    let of = |name: &str, all: &[(&str, &str)], sessions: &Sessions| {
        let mut subject = subject(&[&[(ROLE, ROLE_A)], all].concat());
        Arc::make_mut(&mut subject.pod).name = PodRef::new("shop", name);
        identity(decided(&subject, sessions.clone()))
    };
    let node = Sessions {
        name: Template::new("{node}", "node-1").unwrap(),
        ..plain.clone()
    };
    let named = [(SESSION_NAME, "batch")];
    let short = [(SESSION_NAME, "batch"), (SESSION_DURATION, "900")];
    for (one, other, sessions, same) in [
        (&[][..], &[][..], &plain, false),
        (&[], &[], &node, true),
        (&named, &named, &plain, true),
        (&named, &short, &plain, false),
        (&named, &named, &sessions(), false),
    ] {
        let (one, other) = (of("a", one, sessions), of("b", other, sessions));
        assert_eq!(one == other, same, "{one:?} {other:?}");
    }
}

#[test]
fn a_pod_makes_its_session_shorter_and_never_longer() {
    let long = Sessions {
        length: SessionLength::MOST,
        ..sessions()
    };
    for (said, sessions, seconds) in [
        ("900", sessions(), 900),
        ("15m", sessions(), 900),
        ("3599", sessions(), 3599),
        ("1h", sessions(), 3600),
        ("3601", sessions(), 3600),
        ("12h", sessions(), 3600),
        ("12h", long.clone(), 43_200),
        ("2h30m", long, 9000),
    ] {
        let subject = subject(&[(ROLE, ROLE_A), (SESSION_DURATION, said)]);
        let identity = identity(decided(&subject, sessions));
        assert_eq!(identity.length.as_secs(), seconds, "{said}");
    }
}

#[test]
fn a_length_that_is_none_takes_the_role_away() {
    // Cut where it would be 15 minutes.
    let longer = format!("15m{}1h", "0s".repeat(15));
    let zeros = format!("{}1800", "0".repeat(40));
    for said in [
        "899", "14m59s", "43201", "12h1s", "0", "-1h", "1800.5s", "soon", " 30m", &longer, &zeros,
    ] {
        let says = refusal(&[(SESSION_DURATION, said)]);
        assert!(
            says.starts_with("bpf2iam.io/session-duration: a session lasts from 15 minutes"),
            "{said}: {says}"
        );
    }
}

#[test]
fn policies_are_kept_whole_up_to_what_sts_takes() {
    let arns = format!("{ARN}, arn:aws:iam::aws:policy/ReadOnlyAccess\n");
    let both = [(SESSION_POLICY, POLICY), (SESSION_POLICY_ARNS, &arns)];
    let policies = identity(binding(&both)).policies;
    assert_eq!(policies.inline(), Some(POLICY));
    assert_eq!(policies.arns().len(), 2);
    for longest in [json(2048, 'x'), json(2048, '\u{e9}')] {
        let policies = identity(binding(&[(SESSION_POLICY, &longest)])).policies;
        assert_eq!(policies.inline(), Some(&*longest));
    }
}

/// Pods with these annotations have no role, and this is how they are told so.
fn assert_refused(rows: &[(&[(&str, &str)], &str)]) {
    for (all, says) in rows {
        let refused = refusal(all);
        let says = format!("bpf2iam.io/{says}");
        assert!(refused.starts_with(&says), "{says}\n{refused}");
        assert!(refused.len() < 500, "{refused}");
    }
}

#[test]
fn an_inline_policy_that_is_none_takes_the_role_away() {
    let (too_long, accents) = (json(2049, 'x'), json(2049, '\u{e9}'));
    let whole = json(2048, 'x');
    let of = |policy| [(SESSION_POLICY, policy)];
    assert_refused(&[
        (
            &of("{"),
            "session-policy: the session policy is no JSON object",
        ),
        (
            &of("[]"),
            "session-policy: the session policy is no JSON object",
        ),
        (
            &of("{}"),
            "session-policy: the session policy has no Statement",
        ),
        (
            &of("{\"\u{20ac}\":1}"),
            "session-policy: a session policy has a character",
        ),
        (
            &of(&too_long),
            "session-policy: session policies of 2049 characters are longer",
        ),
        (
            &of(&accents),
            "session-policy: session policies of 2049 characters are longer",
        ),
        (
            &[(SESSION_POLICY, &whole), (SESSION_POLICY_ARNS, ARN)],
            "session-policy: session policies of 2095 characters are longer",
        ),
    ]);
}

#[test]
fn arns_of_policies_that_are_none_take_the_role_away() {
    let of = |arns| [(SESSION_POLICY_ARNS, arns)];
    assert_refused(&[
        (
            &of("ReadOnlyAccess"),
            "session-policy-arns: \"ReadOnlyAccess\" is no ARN",
        ),
        (
            &of("arn:aws:iam::999999999999:policy/p"),
            "session-policy-arns: \"arn:aws:iam::999999999999:policy/p\" is a policy of account \"999999999999\"",
        ),
        (
            &of(&[ARN; 11].join(",")),
            "session-policy-arns: 11 managed session policies",
        ),
        (
            &[(SESSION_POLICY, POLICY), (SESSION_POLICY_ARNS, ",")],
            "session-policy-arns: it names no managed policy",
        ),
    ]);
}

#[test]
fn of_a_policy_that_was_cut_nothing_counts() {
    let (huge, euros) = (json(100_000, 'x'), json(100_000, '\u{20ac}'));
    let blank = " ".repeat(5000);
    // Without its end it says nothing at all, or something valid.
    let late = format!("{}\u{e9}", " ".repeat(4096));
    let (late_policy, late_arn) = (format!("{blank}{POLICY}"), format!("{blank}{ARN}"));
    let more = format!("{ARN}{blank}{ARN}");
    let long = "session policies of more than 2048 characters";
    for policy in [&huge, &late_policy, &blank, &late] {
        let says = format!("session-policy: {long}");
        assert_refused(&[(&[(SESSION_POLICY, policy)], &says)]);
    }
    let says = format!("session-policy-arns: {long}");
    assert_refused(&[
        (&[(SESSION_POLICY_ARNS, &late_arn)], &says),
        (
            &[(SESSION_POLICY, POLICY), (SESSION_POLICY_ARNS, &more)],
            &says,
        ),
    ]);
    // So many bytes of these are fewer characters.
    assert_refused(&[
        (
            &[(SESSION_POLICY, &euros)],
            "session-policy: a session policy has a character",
        ),
        (
            &[(SESSION_POLICY_ARNS, &euros)],
            "session-policy-arns: a session policy has a character",
        ),
    ]);
}

#[test]
fn a_web_identity_is_narrowed_too_and_has_the_tags_of_its_token() {
    let by_account = Subject {
        service_account: Some(Arc::new(ServiceAccount {
            annotations: [(ROLE_ARN.to_owned(), ROLE_A.to_owned())].into(),
        })),
        ..subject(&[
            (SESSION_POLICY, POLICY),
            (SESSION_POLICY_ARNS, ARN),
            (SESSION_DURATION, "30m"),
        ])
    };
    let identity = identity(decided(&by_account, sessions()));
    assert!(identity.web_identity.is_some());
    assert!(identity.tags.is_empty(), "{:?}", identity.tags);
    assert_eq!(&*identity.session_name, "shop.cart");
    assert_eq!(identity.policies.inline(), Some(POLICY));
    assert_eq!(identity.policies.arns().collect::<Vec<_>>(), [ARN]);
    assert_eq!(identity.length.as_secs(), 1800);
}

#[test]
fn a_service_account_narrows_nothing() {
    let account = ServiceAccount {
        annotations: [(SESSION_DURATION.to_owned(), "15m".to_owned())].into(),
    };
    let subject = Subject {
        service_account: Some(Arc::new(account)),
        ..subject(&[(ROLE, ROLE_A)])
    };
    let identity = identity(decided(&subject, sessions()));
    assert_eq!(identity.length, SessionLength::HOUR);
}
