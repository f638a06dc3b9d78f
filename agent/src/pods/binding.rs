//! Which role a pod may have: a pure function of the pod and the operator's policy.

use std::sync::Arc;

use crate::{
    creds::Identity,
    id::{BaseArn, InvalidRole, RoleArn},
};

use super::Pod;

/// The annotation by which a pod names its role (kube2iam, kiam).
pub const ROLE: &str = "iam.amazonaws.com/role";

/// What the operator decided for all pods.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is put before role names that are no ARN.
    pub base_arn: Option<BaseArn>,
    /// The role of pods that name none.
    pub default_role: Option<RoleArn>,
    /// The name of our sessions at STS, cleaned.
    pub session_name: Arc<str>,
}

/// What a pod gets, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The credentials of this identity.
    Role(Identity, Rule),
    /// No role: to the pod it looks like an instance without one.
    Nothing,
    /// The pod asks for something that is no role.
    Invalid(InvalidRole),
}

/// The rule that gave a pod its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The pod's own annotation, [`ROLE`].
    Annotation,
    /// `--default-role`.
    Default,
}

/// Decides what `pod` gets. The first rule that applies wins; a wrong value never falls through to the next.
pub fn decide(pod: &Pod, policy: &Policy) -> Binding {
    if let Some(named) = pod.annotations.get(ROLE) {
        return match named_role(named, policy.base_arn.as_ref()) {
            Ok(role) => role_binding(role, policy, Rule::Annotation),
            Err(reason) => Binding::Invalid(reason),
        };
    }
    match &policy.default_role {
        Some(role) => role_binding(role.clone(), policy, Rule::Default),
        None => Binding::Nothing,
    }
}

/// The role that an annotation names. An empty one names none, with or without a base ARN to put before it.
fn named_role(named: &str, base: Option<&BaseArn>) -> Result<RoleArn, InvalidRole> {
    if named.is_empty() {
        return Err(InvalidRole::Name(String::new()));
    }
    BaseArn::resolve(base, named)
}

fn role_binding(role: RoleArn, policy: &Policy, rule: Rule) -> Binding {
    let identity = Identity {
        role,
        session_name: Arc::clone(&policy.session_name),
    };
    Binding::Role(identity, rule)
}

#[cfg(test)]
mod tests {
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
                vec![(ROLE, "some"), ("iam.amazonaws.com/external-id", "x")],
                Some("fallback"),
                "some",
                Rule::Annotation,
            ),
        ] {
            let identity = Identity {
                role: format!("{BASE}{role}").parse().unwrap(),
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
            for annotations in [vec![], vec![("iam.amazonaws.com/external-id", "x")]] {
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
            let Binding::Invalid(error) = decide(&pod(&[(ROLE, named)]), &policy(base, None))
            else {
                panic!("{named:?}");
            };
            assert_eq!(error.to_string(), reason);
        }
    }
}
