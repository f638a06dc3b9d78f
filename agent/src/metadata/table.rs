//! The paths that are known by name: who may read them, and for how long an answer is good.
//!
//! What every pod may read are names that say where it runs, and that SDKs need. Keys and secrets of the node, and what
//! is written in another way than paths of the metadata service are, nobody gets. All else in the two trees of metadata
//! has to be allowed; whatever may come to be beside these, nobody knows what it is.

use super::glob::{is_plain, segments};

/// The instance identity document, which pods get [without what only concerns the node](super::without_secrets).
pub const DOCUMENT: &str = "dynamic/instance-identity/document";

/// What every pod may read and never changes while the instance runs: fetched before anybody asks. There is nothing
/// below any of them.
pub const LASTING: &[&str] = &[
    "meta-data/instance-id",
    "meta-data/instance-life-cycle",
    "meta-data/instance-type",
    "meta-data/placement/availability-zone",
    "meta-data/placement/availability-zone-id",
    "meta-data/placement/region",
    "meta-data/services/domain",
    "meta-data/services/partition",
    DOCUMENT,
];

/// The trees of which pods may read anything.
pub(super) const TREES: [&str; 2] = ["dynamic", "meta-data"];

/// Nobody's, with all that is below: the node's own keys, its secrets, and the tokens, which are not read.
const NEVER: [&str; 4] = [
    "api",
    "meta-data/iam",
    "meta-data/identity-credentials",
    "user-data",
];

/// What AWS signed to say who the node is, for others to believe it.
pub(super) const PROOFS: [&str; 3] = [
    "dynamic/instance-identity/pkcs7",
    "dynamic/instance-identity/rsa2048",
    "dynamic/instance-identity/signature",
];

/// Notices that something is about to happen.
const NOTICES: [&str; 3] = [
    "meta-data/autoscaling",
    "meta-data/events",
    "meta-data/spot",
];

/// No path of the metadata service is as long. What is longer is not even compared.
const LONGEST: usize = 512;

/// Who may read something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every pod. Of a directory: every pod may list it, but sees only the names of what it may see.
    Pods,
    /// Pods for which the operator or their namespace allows it.
    Allowed,
    /// Pods for which the operator allows it: signed proofs of who the node is.
    Operator,
    /// No pod: keys and secrets of the node.
    Never,
}

/// For how long the real service's answer is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As long as the instance runs.
    Lasting,
    /// A few seconds.
    Brief,
    /// For nobody but who asked: notices that something is about to happen.
    Never,
}

/// Who may read `path`.
pub fn access(path: &str) -> Access {
    let lower = path.to_ascii_lowercase();
    let elsewhere = !path.is_empty() && !within(path, &TREES);
    if !is_canonical(path) || elsewhere {
        return Access::Never;
    }
    let access = by_name(&lower);
    // Case counts, and no name that is known has capitals. Should somebody's service not see it so, this is still no way
    // to what it has there.
    if path != lower && access != Access::Allowed {
        return Access::Never;
    }
    access
}

fn by_name(path: &str) -> Access {
    let below_a_leaf = LASTING.iter().any(|leaf| below(path, leaf).is_some());
    if below_a_leaf || is_secret(path) {
        Access::Never
    } else if within(path, &PROOFS) {
        Access::Operator
    } else if LASTING.contains(&path) || is_directory(path) {
        Access::Pods
    } else {
        Access::Allowed
    }
}

/// For how long what is at `path` is good. A slash at its end makes no difference.
pub fn freshness(path: &str) -> Freshness {
    let path = path.trim_end_matches('/');
    if LASTING.contains(&path) {
        Freshness::Lasting
    } else if within(path, &NOTICES) {
        Freshness::Never
    } else {
        Freshness::Brief
    }
}

/// Whether `path` is known to be nobody's. Capitals make no difference, as they might make none to somebody who is asked.
pub(super) fn is_secret(path: &str) -> bool {
    let mut tops = NEVER.iter();
    tops.any(|top| match path.split_at_checked(top.len()) {
        Some((begin, below)) if begin.eq_ignore_ascii_case(top) => {
            below.is_empty() || below.starts_with('/')
        }
        _ => false,
    })
}

/// Whether something that every pod may read is below `path`.
pub(super) fn is_directory(path: &str) -> bool {
    LASTING.iter().any(|leaf| below(leaf, path).is_some())
}

/// What of `path` is below `directory`. All of it is below the root.
pub(super) fn below<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    match directory {
        "" => Some(path),
        _ => path.strip_prefix(directory)?.strip_prefix('/'),
    }
}

fn within(path: &str, tops: &[&str]) -> bool {
    tops.iter()
        .any(|top| path == *top || below(path, top).is_some())
}

/// Whether it is written as paths here are. What is not was never meant for the real service, which may take it for
/// another path.
fn is_canonical(path: &str) -> bool {
    let dots = segments(path).any(|name| matches!(name, "." | ".."));
    let slashes = path.starts_with('/') || path.ends_with('/') || path.contains("//");
    path.len() <= LONGEST && path.chars().all(is_plain) && !dots && !slashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_of_the_service_has_its_readers() {
        for (path, expected) in [
            ("", Access::Pods),
            ("api", Access::Never),
            ("api/token", Access::Never),
            ("API/token", Access::Never),
            ("User-Data", Access::Never),
            ("meta-data/IAM/info", Access::Never),
            ("dynamic", Access::Pods),
            ("dynamic/fws/instance-monitoring", Access::Allowed),
            ("dynamic/instance-identity", Access::Pods),
            ("dynamic/instance-identity/document", Access::Pods),
            ("dynamic/instance-identity/pkcs7", Access::Operator),
            ("dynamic/instance-identity/rsa2048", Access::Operator),
            ("dynamic/instance-identity/signature", Access::Operator),
            ("dynamic/instance-identity/signature/x", Access::Operator),
            ("dynamic/instance-identity/other", Access::Allowed),
            ("meta-data", Access::Pods),
            ("meta-data/ami-id", Access::Allowed),
            (
                "meta-data/autoscaling/target-lifecycle-state",
                Access::Allowed,
            ),
            ("meta-data/block-device-mapping/root", Access::Allowed),
            ("meta-data/events/maintenance/scheduled", Access::Allowed),
            ("meta-data/hostname", Access::Allowed),
            ("meta-data/iam", Access::Never),
            ("meta-data/iam/info", Access::Never),
            ("meta-data/iam/security-credentials/node", Access::Never),
            ("meta-data/iam/security-credentials-extended", Access::Never),
            ("meta-data/identity-credentials", Access::Never),
            ("meta-data/identity-credentials/ec2/info", Access::Never),
            (
                "meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
                Access::Never,
            ),
            ("meta-data/instance-id", Access::Pods),
            ("meta-data/instance-life-cycle", Access::Pods),
            ("meta-data/instance-type", Access::Pods),
            ("meta-data/local-hostname", Access::Allowed),
            ("meta-data/local-ipv4", Access::Allowed),
            ("meta-data/mac", Access::Allowed),
            (
                "meta-data/managed-ssh-keys/active-keys/ec2-user",
                Access::Allowed,
            ),
            (
                "meta-data/network/interfaces/macs/0a:ff:fb:90:dc:71/vpc-id",
                Access::Allowed,
            ),
            ("meta-data/placement", Access::Pods),
            ("meta-data/placement/availability-zone", Access::Pods),
            ("meta-data/placement/availability-zone-id", Access::Pods),
            ("meta-data/placement/group-name", Access::Allowed),
            ("meta-data/placement/region", Access::Pods),
            ("meta-data/product-codes", Access::Allowed),
            ("meta-data/public-keys/0/openssh-key", Access::Allowed),
            ("meta-data/reservation-id", Access::Allowed),
            ("meta-data/security-groups", Access::Allowed),
            ("meta-data/services", Access::Pods),
            ("meta-data/services/domain", Access::Pods),
            ("meta-data/services/partition", Access::Pods),
            ("meta-data/spot/instance-action", Access::Allowed),
            ("meta-data/system", Access::Allowed),
            ("meta-data/tags/instance/team=a", Access::Allowed),
            ("user-data", Access::Never),
            ("user-data/x", Access::Never),
            // Names in another case.
            ("META-DATA/mac", Access::Never),
            ("meta-data/Identity-Credentials/x", Access::Never),
            ("meta-data/Placement", Access::Never),
            ("dynamic/instance-identity/Document", Access::Never),
            ("dynamic/Instance-Identity/pkcs7", Access::Never),
            ("meta-data/tags/instance/Name", Access::Allowed),
            // Names that only begin so, and names that are new.
            ("meta-data/iamx", Access::Allowed),
            ("dynamic/new/x", Access::Allowed),
            ("user-data2", Access::Never),
            ("latest/meta-data/mac", Access::Never),
        ] {
            assert_eq!(access(path), expected, "{path:?}");
        }
    }

    #[test]
    fn nobody_reads_what_is_below_a_leaf_or_written_in_another_way() {
        let long = format!("meta-data/{}", "x".repeat(LONGEST));
        for path in [
            "meta-data/instance-id/x",
            "dynamic/instance-identity/document/x",
            "/meta-data",
            "meta-data/",
            "meta-data//mac",
            "meta-data/./mac",
            "meta-data/x/../iam",
            "meta-data/%69am/info",
            "meta-data\\iam",
            "meta-data/mac;x",
            "meta-data/mac?x",
            "meta-data/a b",
            "meta-data/\u{131}am",
            &long,
        ] {
            assert_eq!(access(path), Access::Never, "{path:?}");
        }
    }

    #[test]
    fn what_never_changes_is_what_every_pod_may_read_and_notices_are_always_new() {
        for path in LASTING {
            assert_eq!(
                (access(path), freshness(path)),
                (Access::Pods, Freshness::Lasting),
                "{path}"
            );
        }
        for (path, expected) in [
            ("meta-data/instance-id/", Freshness::Lasting),
            ("", Freshness::Brief),
            ("meta-data/", Freshness::Brief),
            ("meta-data/placement", Freshness::Brief),
            ("meta-data/local-ipv4", Freshness::Brief),
            ("meta-data/spot", Freshness::Never),
            ("meta-data/spot/", Freshness::Never),
            ("meta-data/spot/termination-time", Freshness::Never),
            (
                "meta-data/events/recommendations/rebalance",
                Freshness::Never,
            ),
            (
                "meta-data/autoscaling/target-lifecycle-state",
                Freshness::Never,
            ),
            ("meta-data/spotless", Freshness::Brief),
        ] {
            assert_eq!(freshness(path), expected, "{path:?}");
        }
    }
}
