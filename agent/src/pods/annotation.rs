//! The annotations that decide about credentials: their names, and what is kept of them.
//!
//! Everything else that people write on their objects is dropped before it is stored, and so is the end of a value
//! that is longer than any value that means something: no such value becomes valid by being cut.

use std::{collections::BTreeMap, ops::Bound};

/// Of a pod, unless `--iam-role-key` says otherwise: its role (kube2iam, kiam).
pub const ROLE: &str = "iam.amazonaws.com/role";

/// Of a pod, unless `--iam-external-id` says otherwise: what the trust policy of its role asks for (kube2iam, kiam).
pub const EXTERNAL_ID: &str = "iam.amazonaws.com/external-id";

/// Of a pod: the name of its sessions at STS (kiam).
pub const SESSION_NAME: &str = "iam.amazonaws.com/session-name";

/// Of a pod, before the name of one of its containers: that container's role, or [`NO_ROLE`].
pub const CONTAINER: &str = "container.bpf2iam.io/";

/// The value that says: no role at all.
pub const NO_ROLE: &str = "none";

/// Of a namespace, unless `--namespace-key` says otherwise: a JSON list of the roles its pods may have (kube2iam).
pub const ALLOWED_ROLES: &str = "iam.amazonaws.com/allowed-roles";

/// Of a namespace: a regular expression of the roles its pods may have (kiam).
pub const PERMITTED: &str = "iam.amazonaws.com/permitted";

/// Of a namespace: the role of its pods that name none.
pub const DEFAULT_ROLE: &str = "bpf2iam.io/default-role";

/// Of a ServiceAccount: the role of its pods (IRSA).
pub const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";

/// Of a ServiceAccount: the audience of its tokens (IRSA).
pub const AUDIENCE: &str = "eks.amazonaws.com/audience";

/// Of a pod or its ServiceAccount: the life of its tokens in seconds (IRSA).
pub const TOKEN_EXPIRATION: &str = "eks.amazonaws.com/token-expiration";

/// Of the pod that stands for a static pod: what the kubelet called that one's cgroup.
pub const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// Of the same: the hash once more. The kubelet writes it, and deletes whatever has it and stands for no static pod.
pub const CONFIG_MIRROR: &str = "kubernetes.io/config.mirror";

/// The beginnings of the annotations that one of our parts reads.
const OURS: [&str; 4] = [
    "iam.amazonaws.com/",
    "bpf2iam.io/",
    CONTAINER,
    "eks.amazonaws.com/",
];

/// A list of allowed roles may be long; nothing else is.
const LONGEST: usize = 32 << 10;

/// An object may say so much in all. The API server takes 256 KiB of annotations.
const MOST: usize = 128 << 10;

/// The names that the operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// In place of [`ROLE`].
    pub role: String,
    /// In place of [`EXTERNAL_ID`].
    pub external_id: String,
    /// In place of [`ALLOWED_ROLES`].
    pub allowed_roles: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            role: ROLE.to_owned(),
            external_id: EXTERNAL_ID.to_owned(),
            allowed_roles: ALLOWED_ROLES.to_owned(),
        }
    }
}

/// More annotations of ours than a reasonable object has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("they are longer than {MOST} bytes in all")]
pub struct TooMuch;

impl Keys {
    /// What of `all` anybody here reads.
    pub fn keep(&self, all: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, TooMuch> {
        let kept: BTreeMap<String, String> = all
            .into_iter()
            .filter(|(key, _)| self.are_read(key))
            .map(|(key, value)| (key, cut(value)))
            .collect();
        let bytes: usize = kept
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        if bytes > MOST { Err(TooMuch) } else { Ok(kept) }
    }

    fn are_read(&self, key: &str) -> bool {
        OURS.iter().any(|prefix| key.starts_with(prefix))
            || [&self.role, &self.external_id, &self.allowed_roles]
                .into_iter()
                .any(|own| own == key)
    }
}

/// What a pod says about its containers, each for itself: their names, and what stands there.
pub(super) fn of_containers(
    annotations: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&str, &str)> {
    annotations
        .range::<str, _>((Bound::Included(CONTAINER), Bound::Unbounded))
        .map_while(|(key, value)| Some((key.strip_prefix(CONTAINER)?, value.as_str())))
}

/// `value` without what no value that means something has: one byte more than the longest is enough to be wrong.
fn cut(mut value: String) -> String {
    if value.len() > LONGEST {
        value.truncate(value.floor_char_boundary(LONGEST + 1));
        value.shrink_to_fit();
    }
    value
}
