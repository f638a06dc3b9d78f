use std::collections::BTreeMap;

use super::*;
use crate::id::PodRef;

const BASE: &str = "arn:aws:iam::123456789012:role/";
const OTHER: &str = "arn:aws:iam::999999999999:role/other";

fn pod(annotations: &[(&str, &str)]) -> Pod {
    Pod {
        uid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
        name: PodRef::new("shop", "cart"),
        service_account: "default".to_owned(),
        host_network: false,
        ips: Vec::new(),
        annotations: annotations
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn policy(base: Option<&str>, default: Option<&str>) -> Policy {
    let base_arn = base.map(|base| base.parse().unwrap());
    Policy {
        default_role: default.map(|role| BaseArn::resolve(base_arn.as_ref(), role).unwrap()),
        base_arn,
        session_name: "node-1".into(),
    }
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
        let identity = Identity {
            role: format!("{BASE}{role}").parse().unwrap(),
            external_id: None,
            session_name: "node-1".into(),
        };
        assert_eq!(
            decide(&pod(&annotations), &policy(Some(BASE), default)),
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
        let binding = decide(&pod(annotations), &policy(Some(BASE), Some("fallback")));
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
            let binding = decide(&pod(annotations), &policy(Some(BASE), Some("fallback")));
            let invalid = matches!(binding, Binding::Invalid(Invalid::ExternalId(_)));
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
        let binding = decide(&pod(&[(ROLE, named)]), &policy(base, Some(OTHER)));
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
            let binding = decide(&pod(&annotations), &policy(base, None));
            assert_eq!(binding, Binding::Nothing, "{base:?} {annotations:?}");
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
        let binding = decide(&pod(&[(ROLE, named)]), &policy(base, Some(OTHER)));
        assert!(
            matches!(binding, Binding::Invalid(_)),
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
        let Binding::Invalid(error) = decide(&pod(&[(ROLE, named)]), &policy(base, None)) else {
            panic!("{named:?}");
        };
        assert_eq!(error.to_string(), reason);
    }
}
