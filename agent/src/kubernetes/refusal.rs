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

/// That the agent may not `verb` a resource, and where it is written that it may.
pub(super) fn lack(verb: &str, resource: &str, namespace: &str, said: &str) -> String {
    format!(
        "the agent may not {verb} {resource} in the namespace {namespace}; the ClusterRole bpf2iam has to allow it, \
         as the one in deploy/ does: {said}"
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
        let told = lack("create", "serviceaccounts/token", "shop", "no");
        for part in ["may not create serviceaccounts/token", "shop", "in deploy/"] {
            assert!(told.contains(part), "{told}");
        }
    }
}
