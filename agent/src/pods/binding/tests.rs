use std::collections::BTreeMap;

use super::{
    super::{
        Container, Namespace, ServiceAccount,
        annotation::{DEFAULT_ROLE, EXTERNAL_ID, PERMITTED, ROLE, ROLE_ARN, SESSION_NAME},
    },
    *,
};
use crate::{creds::session_name, id::PodRef};

const BASE: &str = "arn:aws:iam::123456789012:role/";
const OTHER: &str = "arn:aws:iam::999999999999:role/other";
const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

fn annotations(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    let all = all.iter();
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A pod with a ServiceAccount, and these annotations.
fn pod(all: &[(&str, &str)]) -> Subject {
    let mut pod = Pod::new(UID.parse().unwrap(), PodRef::new("shop", "cart"));
    pod.service_account = Some("till".to_owned());
    pod.annotations = annotations(all);
    Subject::alone(pod)
}

impl Subject {
    fn in_namespace(self, all: &[(&str, &str)]) -> Self {
        Self {
            namespace: Some(Namespace::new(annotations(all)).into()),
            ..self
        }
    }

    fn with_account(self, all: &[(&str, &str)]) -> Self {
        let account = ServiceAccount {
            annotations: annotations(all).into(),
        };
        Self {
            service_account: Some(account.into()),
            ..self
        }
    }

    fn with_containers(mut self, all: &[(&str, ContainerId)]) -> Self {
        let containers = all.iter().map(|(name, id)| Container {
            id: *id,
            name: (*name).to_owned(),
        });
        Arc::make_mut(&mut self.pod).containers = containers.collect();
        self
    }
}

fn container(digit: char) -> ContainerId {
    String::from(digit).repeat(64).parse().unwrap()
}

fn policy(base: Option<&str>, default: Option<&str>) -> Policy {
    let base_arn: Option<BaseArn> = base.map(|base| base.parse().unwrap());
    Policy {
        default_role: default.map(|role| BaseArn::resolve(base_arn.as_ref(), role).unwrap()),
        base_arn,
        exchange: Exchange::AssumeRole,
        ..Policy::new("node-1")
    }
}

/// The same, where namespaces restrict roles.
fn restricted(base: Option<&str>, default: Option<&str>) -> Policy {
    let policy = policy(base, default);
    Policy {
        restrictions: Some(restriction::Rules {
            format: restriction::Format::Glob,
            compat: Compat::None,
            base_arn: policy.base_arn.clone(),
        }),
        ..policy
    }
}

/// What a container without a role of its own gets: the role's ARN and the rule, or a word.
fn told(binding: &Binding) -> String {
    match binding {
        Binding::Role(identity, rule) => format!("{} by {}", identity.role, rule.as_str()),
        Binding::Node(rule) => format!("the node's by {}", rule.as_str()),
        Binding::Nothing(rule) => format!("nothing by {:?}", rule.map(Rule::as_str)),
        Binding::Invalid(rule, _) => format!("invalid by {}", rule.as_str()),
        Binding::Forbidden(role, _) => format!("forbidden {role}"),
        Binding::Unknown(what) => format!("unknown {what:?}"),
    }
}

fn decided(subject: &Subject, policy: &Policy) -> String {
    told(&decide(subject, None, policy))
}

/// What kube2iam decides: compatibility is this table.
#[test]
fn the_annotation_comes_before_the_default_role() {
    let named = |role: &'static str| vec![(ROLE, role)];
    for (annotations, default, role, rule) in [
        (named("explicit"), None, "explicit", Rule::Annotation),
        (vec![], Some("fallback"), "fallback", Rule::Default),
        (named("some"), Some("fallback"), "some", Rule::Annotation),
        (named("a/b/some"), None, "a/b/some", Rule::Annotation),
        (named("/some"), Some("fallback"), "some", Rule::Annotation),
        (named("/a/some"), None, "a/some", Rule::Annotation),
        (
            named("fallback"),
            Some("fallback"),
            "fallback",
            Rule::Annotation,
        ),
        (
            vec![("else/where", "some")],
            Some("fallback"),
            "fallback",
            Rule::Default,
        ),
        (
            vec![(ROLE, "some"), (EXTERNAL_ID, ""), (SESSION_NAME, "")],
            Some("fallback"),
            "some",
            Rule::Annotation,
        ),
    ] {
        let identity = Identity::new(format!("{BASE}{role}").parse().unwrap(), "node-1");
        assert_eq!(
            decide(&pod(&annotations), None, &policy(Some(BASE), default)),
            Binding::Role(identity, rule),
            "{annotations:?} {default:?}"
        );
    }
}

#[test]
fn external_id_and_session_name_are_the_pods_own_whatever_role_it_has() {
    let all = [
        (ROLE, "some"),
        (EXTERNAL_ID, "id:/1"),
        (SESSION_NAME, "night run"),
    ];
    for annotations in [&all[..], &all[1..]] {
        let binding = decide(
            &pod(annotations),
            None,
            &policy(Some(BASE), Some("fallback")),
        );
        let Binding::Role(identity, _) = binding else {
            panic!("{binding:?}");
        };
        let external = identity.external_id.unwrap();
        assert_eq!(external.as_str(), "id:/1");
        assert_eq!(*identity.session_name, *session_name("night run"));
    }
}

#[test]
fn a_wrong_external_id_takes_the_role_away() {
    for wrong in ["x", "a b", "ab\n", "caf\u{e9}"] {
        for annotations in [
            &[(ROLE, "some"), (EXTERNAL_ID, wrong)][..],
            &[(EXTERNAL_ID, wrong)],
        ] {
            let binding = decide(
                &pod(annotations),
                None,
                &policy(Some(BASE), Some("fallback")),
            );
            let invalid = matches!(binding, Binding::Invalid(_, Invalid::ExternalId(_)));
            assert!(invalid, "{wrong:?}: {binding:?}");
        }
    }
}

#[test]
fn an_arn_needs_no_base_and_keeps_its_account() {
    for (base, named) in [
        (Some(BASE), OTHER),
        (None, OTHER),
        (None, "ARN:aws:iam::999999999999:role/other"),
    ] {
        let binding = decide(&pod(&[(ROLE, named)]), None, &policy(base, Some(OTHER)));
        let Binding::Role(identity, Rule::Annotation) = binding else {
            panic!("{binding:?}");
        };
        assert_eq!(identity.role.as_str(), OTHER);
    }
}

#[test]
fn without_annotation_and_default_there_is_nothing_even_with_a_base() {
    for base in [None, Some(BASE)] {
        for annotations in [vec![], vec![(EXTERNAL_ID, "xy")]] {
            let binding = decide(&pod(&annotations), None, &policy(base, None));
            assert_eq!(binding, Binding::Nothing(None), "{base:?} {annotations:?}");
        }
    }
}

#[test]
fn a_wrong_annotation_is_invalid_and_never_the_default() {
    for (base, named) in [
        (Some(BASE), ""),
        (None, ""),
        (Some(BASE), "/"),
        (Some(BASE), "//role"),
        (Some(BASE), " role"),
        (Some(BASE), "role\n"),
        (Some(BASE), "path/"),
        (Some(BASE), "one,two three"),
        (Some(BASE), "arn:aws:iam::123456789012:user/u"),
        (Some(BASE), "arn:aws:iam::123456789012:role/"),
        (Some(BASE), "arn:aws:s3:::bucket"),
        (None, "role"),
    ] {
        let binding = decide(&pod(&[(ROLE, named)]), None, &policy(base, Some(OTHER)));
        assert!(
            matches!(binding, Binding::Invalid(..)),
            "{named:?}: {binding:?}"
        );
    }
}

#[test]
fn the_reason_quotes_what_the_annotation_says() {
    for (base, named, reason) in [
        (
            None,
            "role",
            "\"role\" is a role name; give the whole ARN, or --base-role-arn",
        ),
        (
            Some(BASE),
            "",
            "\"\" has no role name that IAM takes (1 to 64 of letters, digits and _+=,.@-)",
        ),
    ] {
        let Binding::Invalid(_, error) = decide(&pod(&[(ROLE, named)]), None, &policy(base, None))
        else {
            panic!("{named:?}");
        };
        assert_eq!(error.to_string(), reason);
    }
}

/// compat.md 2.D, as far as the rows above do not have it: whatever the annotations are called.
#[test]
fn the_operator_may_call_the_annotations_otherwise() {
    let mut policy = policy(Some(BASE), Some("fallback"));
    policy.keys.role = "example.org/role".to_owned();
    policy.keys.external_id = "example.org/id".to_owned();
    let both = pod(&[("example.org/role", "mine"), (ROLE, "other")]);
    assert_eq!(decided(&both, &policy), format!("{BASE}mine by annotation"));
    let usual = pod(&[(ROLE, "other"), (EXTERNAL_ID, "no id")]);
    assert_eq!(
        decided(&usual, &policy),
        format!("{BASE}fallback by default")
    );
    let wrong = pod(&[("example.org/role", "mine"), ("example.org/id", "no id")]);
    assert_eq!(decided(&wrong, &policy), "invalid by annotation");
}

#[test]
fn the_first_rule_that_says_something_decides() {
    let all = |pod_says: &[(&str, &str)], account: &[(&str, &str)], space: &[(&str, &str)]| {
        pod(pod_says).with_account(account).in_namespace(space)
    };
    let (named, irsa, space) = ([(ROLE, "a")], [(ROLE_ARN, OTHER)], [(DEFAULT_ROLE, "b")]);
    for (subject, default, expected) in [
        (
            all(&named, &irsa, &space),
            Some("c"),
            format!("{BASE}a by annotation"),
        ),
        (
            all(&[], &irsa, &space),
            Some("c"),
            format!("{OTHER} by service_account"),
        ),
        (
            all(&[], &[], &space),
            Some("c"),
            format!("{BASE}b by namespace"),
        ),
        (all(&[], &[], &[]), Some("c"), format!("{BASE}c by default")),
        (all(&[], &[], &[]), None, "nothing by None".to_owned()),
        // A wrong value never falls through to the next rule.
        (
            all(&[(ROLE, "")], &irsa, &space),
            Some("c"),
            "invalid by annotation".to_owned(),
        ),
        (
            all(&[], &[(ROLE_ARN, "a")], &space),
            Some("c"),
            "invalid by service_account".to_owned(),
        ),
        (
            all(&[], &[], &[(DEFAULT_ROLE, "")]),
            Some("c"),
            "invalid by namespace".to_owned(),
        ),
        // But charts write an empty one on ServiceAccounts where none is set.
        (
            all(&[], &[(ROLE_ARN, "")], &space),
            Some("c"),
            format!("{BASE}b by namespace"),
        ),
    ] {
        assert_eq!(decided(&subject, &policy(Some(BASE), default)), expected);
    }
}

#[test]
fn what_is_not_known_yet_is_not_taken_for_silence() {
    let nobody = |subject: Subject| Subject {
        service_account: None,
        ..subject
    };
    let nowhere = |subject: Subject| Subject {
        namespace: None,
        ..subject
    };
    let named = || pod(&[(ROLE, "a")]);
    let by_account = || pod(&[]).with_account(&[(ROLE_ARN, OTHER)]);
    let (open, closed) = (
        policy(Some(BASE), Some("c")),
        restricted(Some(BASE), Some("c")),
    );
    for (subject, policy, expected) in [
        (nobody(pod(&[])), &open, "unknown ServiceAccount".to_owned()),
        (nowhere(pod(&[])), &open, "unknown Namespace".to_owned()),
        (
            nobody(nowhere(pod(&[]))),
            &closed,
            "unknown ServiceAccount".to_owned(),
        ),
        (nowhere(named()), &closed, "unknown Namespace".to_owned()),
        (
            nowhere(by_account()),
            &closed,
            "unknown Namespace".to_owned(),
        ),
        // What cannot change the decision is not waited for.
        (
            nobody(nowhere(named())),
            &open,
            format!("{BASE}a by annotation"),
        ),
        (
            nowhere(by_account()),
            &open,
            format!("{OTHER} by service_account"),
        ),
        (
            nowhere(pod(&[(ROLE, "c")])),
            &closed,
            format!("{BASE}c by annotation"),
        ),
    ] {
        assert_eq!(decided(&subject, policy), expected);
    }
}

#[test]
fn a_static_pod_has_no_service_account_to_wait_for() {
    let mut subject = pod(&[]);
    Arc::make_mut(&mut subject.pod).service_account = None;
    let subject = Subject {
        service_account: None,
        ..subject
    };
    assert_eq!(
        decided(&subject, &policy(Some(BASE), Some("c"))),
        format!("{BASE}c by default")
    );
}

#[test]
fn namespaces_restrict_every_rule_but_the_operators_own() {
    let policy = restricted(Some(BASE), Some("fallback"));
    let only = [(PERMITTED, ".*role/good")];
    for (subject, expected) in [
        (pod(&[(ROLE, "good")]), format!("{BASE}good by annotation")),
        (pod(&[(ROLE, "bad")]), format!("forbidden {BASE}bad")),
        (
            pod(&[]).with_account(&[(ROLE_ARN, OTHER)]),
            format!("forbidden {OTHER}"),
        ),
        (pod(&[]), format!("{BASE}fallback by default")),
        (
            pod(&[(ROLE, "fallback")]),
            format!("{BASE}fallback by annotation"),
        ),
    ] {
        assert_eq!(decided(&subject.in_namespace(&only), &policy), expected);
    }
    let own = pod(&[]).in_namespace(&[(PERMITTED, ".*role/good"), (DEFAULT_ROLE, "bad")]);
    assert_eq!(decided(&own, &policy), format!("forbidden {BASE}bad"));
    let silent = pod(&[(ROLE, "good")]);
    assert_eq!(decided(&silent, &policy), format!("forbidden {BASE}good"));
    let broken = pod(&[(ROLE, "good")]).in_namespace(&[(PERMITTED, "(")]);
    assert_eq!(decided(&broken, &policy), format!("forbidden {BASE}good"));
}

#[test]
fn a_container_may_have_a_role_of_its_own_or_none() {
    let policy = policy(Some(BASE), Some("fallback"));
    let subject = pod(&[
        (ROLE, "pods"),
        ("container.bpf2iam.io/main", "mains"),
        ("container.bpf2iam.io/log", "none"),
        ("container.bpf2iam.io/odd", "no role"),
    ])
    .with_containers(&[
        ("main", container('a')),
        ("log", container('b')),
        ("odd", container('c')),
        ("rest", container('d')),
    ]);
    for (id, expected) in [
        (Some(container('a')), format!("{BASE}mains by container")),
        (
            Some(container('b')),
            "nothing by Some(\"container\")".to_owned(),
        ),
        (Some(container('c')), "invalid by container".to_owned()),
        (Some(container('d')), format!("{BASE}pods by annotation")),
        // The sandbox, or one that was started just now.
        (Some(container('e')), "unknown Container".to_owned()),
        // A cgroup beside the containers.
        (None, "nothing by Some(\"container\")".to_owned()),
    ] {
        assert_eq!(told(&decide(&subject, id, &policy)), expected, "{id:?}");
    }
    let roles: Vec<_> = identities(&subject, &policy)
        .map(|identity| identity.role.name().to_owned())
        .collect();
    assert_eq!(roles, ["mains", "pods"]);
}

#[test]
fn a_containers_role_is_restricted_as_the_pods_is() {
    let subject = pod(&[("container.bpf2iam.io/main", "bad")])
        .with_containers(&[("main", container('a'))])
        .in_namespace(&[(PERMITTED, ".*role/good")]);
    let binding = decide(
        &subject,
        Some(container('a')),
        &restricted(Some(BASE), None),
    );
    assert_eq!(told(&binding), format!("forbidden {BASE}bad"));
}

#[test]
fn whose_token_is_exchanged_follows_from_the_rule_and_the_operators_choice() {
    let by_account = || pod(&[(EXTERNAL_ID, "xyz")]).with_account(&[(ROLE_ARN, OTHER)]);
    let named = || pod(&[(ROLE, OTHER), (EXTERNAL_ID, "xyz")]);
    for (exchange, subject, web_identity) in [
        (Exchange::Auto, by_account(), true),
        (Exchange::Auto, named(), false),
        (Exchange::AssumeRole, by_account(), false),
        (Exchange::AssumeRole, named(), false),
        (Exchange::WebIdentity, by_account(), true),
        (Exchange::WebIdentity, named(), true),
    ] {
        let policy = Policy {
            exchange,
            ..policy(None, None)
        };
        let Binding::Role(identity, _) = decide(&subject, None, &policy) else {
            panic!("{exchange:?} {subject:?}");
        };
        assert_eq!(
            identity.web_identity.is_some(),
            web_identity,
            "{exchange:?}"
        );
        assert_eq!(identity.external_id.is_none(), web_identity, "{exchange:?}");
    }
}

#[test]
fn no_token_is_asked_for_before_its_service_account_is_known() {
    let policy = Policy {
        exchange: Exchange::WebIdentity,
        ..policy(None, None)
    };
    let subject = Subject {
        service_account: None,
        ..pod(&[(ROLE, OTHER)])
    };
    assert_eq!(decided(&subject, &policy), "unknown ServiceAccount");
}

#[test]
fn a_token_is_asked_for_as_pod_and_service_account_say() {
    let policy = Policy {
        exchange: Exchange::Auto,
        ..policy(None, None)
    };
    let token = |pod_says: &[(&str, &str)], account: &[(&str, &str)]| {
        let account = [&[(ROLE_ARN, OTHER)], account].concat();
        match decide(&pod(pod_says).with_account(&account), None, &policy) {
            Binding::Role(identity, _) => {
                let token = identity.web_identity.unwrap();
                assert_eq!(
                    (&*token.service_account, token.uid.to_string().as_str()),
                    ("till", UID)
                );
                format!("{} {}", token.audience, token.life)
            }
            other @ (Binding::Node(_)
            | Binding::Nothing(_)
            | Binding::Invalid(..)
            | Binding::Forbidden(..)
            | Binding::Unknown(_)) => told(&other),
        }
    };
    let life = |text: &'static str| [(TOKEN_EXPIRATION, text)];
    for (pod_says, account, expected) in [
        (&[][..], &[][..], "sts.amazonaws.com 86400"),
        (&[], &[(AUDIENCE, "")], "sts.amazonaws.com 86400"),
        (
            &[],
            &[(AUDIENCE, "mine"), (TOKEN_EXPIRATION, "3600")],
            "mine 3600",
        ),
        (&life("600"), &life("3600"), "sts.amazonaws.com 600"),
        (&life("599"), &life("3600"), "invalid by service_account"),
        (&[], &life("86401"), "invalid by service_account"),
        (&[], &life("1h"), "invalid by service_account"),
    ] {
        assert_eq!(
            token(pod_says, account),
            expected,
            "{pod_says:?} {account:?}"
        );
    }
}

#[test]
fn without_a_service_account_there_is_no_token() {
    let policy = Policy {
        exchange: Exchange::WebIdentity,
        ..policy(None, Some(OTHER))
    };
    let mut subject = pod(&[]);
    Arc::make_mut(&mut subject.pod).service_account = None;
    assert_eq!(decided(&subject, &policy), "invalid by default");
}

mod node_role;
