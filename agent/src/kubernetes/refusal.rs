//! What the API server says no with, in words for people.

use kube::core::Status;

use crate::chain::one_line;

/// What the server says: one line, and not all of a long one.
pub(super) fn words(status: &Status) -> String {
    let said = if status.message.is_empty() {
        format!("HTTP {}, and no word", status.code)
    } else {
        one_line(&status.message)
    };
    match status.reason.as_str() {
        "" => said,
        reason if said.contains(reason) => said,
        reason => format!("{reason}: {said}"),
    }
}

/// Whether it was a policy of the cluster, and not a lack of permission. Each policy chooses its own reason.
pub(super) fn is_of_policy(status: &Status) -> bool {
    status.message.contains("ValidatingAdmissionPolicy")
}

/// Whether it is about an object of this kind.
pub(super) fn is_of_kind(status: &Status, plural: &str) -> bool {
    let details = status.details.as_ref();
    details.is_some_and(|details| details.kind == plural)
}

/// A shipped manifest that says what the agent may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    /// What every agent needs.
    Rbac,
    /// What it needs for tokens besides.
    WebIdentity,
}

impl Manifest {
    /// The ClusterRole in it, and its name.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Rbac => ["bpf2iam", "deploy/manifests/1-rbac.yaml"],
            Self::WebIdentity => [
                "bpf2iam-web-identity",
                "deploy/manifests/2-web-identity.yaml",
            ],
        }
    }
}

/// That the agent may not do something in a namespace, and where it is written that it may.
pub(super) fn lack(what: &str, manifest: Manifest, namespace: &str, said: &str) -> String {
    let what = format!("{what} in the namespace {namespace}");
    lack_anywhere(&what, manifest, said)
}

/// That the agent may not do something that is of no namespace.
pub(super) fn lack_anywhere(what: &str, manifest: Manifest, said: &str) -> String {
    let [role, file] = manifest.names();
    format!(
        "the agent may not {what}; the ClusterRole {role} has to allow it, as the one in {file} does: {said}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_one_short_line() {
        for (reason, message, told) in [
            ("Conflict", "the UID differs", "Conflict: the UID differs"),
            ("Unauthorized", "Unauthorized", "Unauthorized"),
            ("", "first\nsecond", "first"),
            ("", "", "HTTP 500, and no word"),
        ] {
            assert_eq!(
                words(&Status::failure(message, reason).with_code(500)),
                told
            );
        }
        let long = words(&Status::failure(&"x".repeat(5000), ""));
        assert!(long.len() < 500, "{long}");
    }

    #[test]
    fn a_lack_names_verb_resource_and_where_the_rule_is() {
        for (manifest, role, file) in [
            (
                Manifest::Rbac,
                "bpf2iam has",
                "deploy/manifests/1-rbac.yaml",
            ),
            (
                Manifest::WebIdentity,
                "bpf2iam-web-identity has",
                "deploy/manifests/2-web-identity.yaml",
            ),
        ] {
            let told = lack("create events", manifest, "shop", "no");
            for part in ["may not create events", "shop", role, file] {
                assert!(told.contains(part), "{told}");
            }
        }
    }
}
