//! What is to be done about an agent or about this command, as lines that can be pasted.
//!
//! The names are those of the shipped manifests. No line touches another node's agent, and none takes the programs away
//! from a node whose pods they protect.

use super::Finding;

/// What stands for the name of this node.
const NODE: &str = "spec.nodeName=NODE";

/// How the agent of this node is started anew: its DaemonSet makes another pod.
pub(super) const RESTART: &str = "kubectl -n bpf2iam delete pod -l app.kubernetes.io/name=bpf2iam \
                                  --field-selector spec.nodeName=NODE; or, where it is a service: systemctl restart bpf2iam";
/// How to see what it says.
pub(super) const LOGS: &str = "kubectl -n bpf2iam get pod -l app.kubernetes.io/name=bpf2iam \
                               --field-selector spec.nodeName=NODE -o name | xargs -r -n 1 kubectl -n bpf2iam logs; or, where \
                               it is a service: journalctl -u bpf2iam";
/// How to ask where the agent itself asks.
pub(super) const INSIDE: &str = "bpf2iam doctor --runtime-dir DIR, as the agent has it; where that is in the agent's \
                                 container only: kubectl -n bpf2iam get pod -l app.kubernetes.io/name=bpf2iam --field-selector \
                                 spec.nodeName=NODE -o name | xargs -r -I POD kubectl -n bpf2iam exec POD -- bpf2iam doctor";
/// What to do about pins that the agent does not touch.
pub(super) const FOREIGN: &str =
    "see whose it is and remove it: rm PIN (of the line above); then start the agent anew";
/// As somebody who may look.
pub(super) const SUDO: &str = "sudo bpf2iam doctor";

/// How to get the rights that are lacking.
pub(super) fn more_rights() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "run it on the node as root, outside of any container; or give the agent's container securityContext.privileged: true"
    } else {
        SUDO
    }
}

/// What was found, with the name of this node in its command.
pub(super) fn on(node: Option<&str>, finding: Finding) -> Finding {
    let named = |fix: String| match node {
        Some(node) => fix.replace(NODE, &format!("spec.nodeName={node}")),
        None => fix,
    };
    Finding {
        fix: finding.fix.map(named),
        ..finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Check;

    #[test]
    fn a_command_is_for_this_node() {
        for fix in [RESTART, LOGS, INSIDE] {
            let told = on(Some("node-7"), Finding::problem(Check::Agent, "", fix));
            let fix = told.fix.unwrap();
            assert!(
                fix.contains("--field-selector spec.nodeName=node-7"),
                "{fix}"
            );
            assert!(!fix.contains("NODE"), "{fix}");
        }
        let told = on(None, Finding::problem(Check::Agent, "", RESTART));
        assert_eq!(told.fix.as_deref(), Some(RESTART));
        assert_eq!(on(Some("n"), Finding::ok(Check::Agent, "")).fix, None);
    }
}
