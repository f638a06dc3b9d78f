//! The annotations that decide about credentials: their names, and what is kept of them.
//!
//! Everything else that people write on their objects is dropped before it is stored, and so is the end of a value
//! that is too long to mean something. No role, external id, number or restriction becomes valid by being cut, and
//! nothing that narrows a session; of the name of a session, and of an audience, the beginning counts.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{Few, restriction::LONGEST};

/// Of a pod, unless `--iam-role-key` says otherwise: its role (kube2iam, kiam).
pub const ROLE: &str = "iam.amazonaws.com/role";

/// Of a pod, unless `--iam-external-id` says otherwise: what the trust policy of its role asks for (kube2iam, kiam).
pub const EXTERNAL_ID: &str = "iam.amazonaws.com/external-id";

/// Of a pod: the name of its sessions at STS (kiam).
pub const SESSION_NAME: &str = "iam.amazonaws.com/session-name";

/// Of a pod: a policy in JSON that takes rights away from its sessions.
pub const SESSION_POLICY: &str = "bpf2iam.io/session-policy";

/// Of a pod: the ARNs of managed policies that do the same.
pub const SESSION_POLICY_ARNS: &str = "bpf2iam.io/session-policy-arns";

/// Of a pod: how long its sessions last, if that is less than the operator gave.
pub const SESSION_DURATION: &str = "bpf2iam.io/session-duration";

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

/// Of a namespace: whether its pods need tokens of the metadata service, `optional` or `required`.
pub const IMDS_TOKENS: &str = "bpf2iam.io/imds-tokens";

/// Of a namespace: paths of the metadata service that its pods may read beside those that all may.
pub const ALLOW_PATHS: &str = "bpf2iam.io/allow-paths";

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

/// No role's ARN and no external id is longer (IAM, STS), ...
const LONG: usize = 2048;

/// ... and no number of seconds is. What a namespace says of roles has a limit of its own.
const SHORT: usize = 32;

/// As many bytes say how long a session lasts. What is longer was cut, and means nothing.
pub const LONGEST_DURATION: usize = SHORT;

/// As many bytes say its policies, each annotation for itself: STS takes 2048 characters of up to two bytes. What is
/// longer was cut, and means nothing.
pub const LONGEST_POLICY: usize = 4096;

/// As many bytes say whether a namespace's pods need tokens. What is longer was cut, and means nothing.
pub const LONGEST_TOKENS: usize = SHORT;

/// As many bytes say which paths a namespace's pods may read. What is longer was cut, and means nothing.
pub const LONGEST_PATHS: usize = 4096;

/// So many containers of a pod may have a role of their own: each is a session at STS.
const CONTAINERS: usize = 32;

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

/// More containers with a role of their own than a reasonable pod has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {CONTAINERS} of them begin with {CONTAINER}")]
pub struct TooMany;

/// Annotations as the API server spells them.
type Annotations = BTreeMap<String, String>;

impl Keys {
    /// What decides of a pod that has these containers. About any other container nothing is said.
    pub(super) fn of_pod(
        &self,
        all: &Annotations,
        containers: &BTreeSet<&str>,
    ) -> Result<Annotations, TooMany> {
        let mut kept: Annotations = keep(
            all,
            &[
                (&self.role, LONG),
                (&self.external_id, LONG),
                (SESSION_NAME, LONG),
                (SESSION_POLICY, LONGEST_POLICY),
                (SESSION_POLICY_ARNS, LONGEST_POLICY),
                (SESSION_DURATION, LONGEST_DURATION),
                (TOKEN_EXPIRATION, SHORT),
            ],
        );
        let own = of_containers(all).filter(|(name, _)| containers.contains(name));
        for (at, (name, role)) in own.enumerate() {
            if at == CONTAINERS {
                return Err(TooMany);
            }
            kept.insert(format!("{CONTAINER}{name}"), cut(role, LONG));
        }
        Ok(kept)
    }

    /// What decides of a namespace.
    pub(super) fn of_namespace(&self, all: &Annotations) -> Few {
        keep(
            all,
            &[
                (DEFAULT_ROLE, LONG),
                (&self.allowed_roles, LONGEST),
                (PERMITTED, LONGEST),
                (IMDS_TOKENS, LONGEST_TOKENS),
                (ALLOW_PATHS, LONGEST_PATHS),
            ],
        )
    }
}

/// What decides of a ServiceAccount.
pub(super) fn of_service_account(all: &Annotations) -> Few {
    keep(
        all,
        &[
            (ROLE_ARN, LONG),
            (AUDIENCE, LONG),
            (TOKEN_EXPIRATION, SHORT),
        ],
    )
}

/// Those of `all` with these keys, each as long as it may be.
fn keep<T: FromIterator<(String, String)>>(all: &Annotations, keys: &[(&str, usize)]) -> T {
    let found = keys.iter().filter_map(|(key, length)| {
        let value = all.get(*key)?;
        Some(((*key).to_owned(), cut(value, *length)))
    });
    found.collect()
}

/// What a pod says about its containers, each for itself: their names, and what stands there.
pub(super) fn of_containers(
    annotations: &BTreeMap<String, String>,
) -> impl Iterator<Item = (&str, &str)> {
    annotations
        .range::<str, _>((Bound::Included(CONTAINER), Bound::Unbounded))
        .map_while(|(key, value)| Some((key.strip_prefix(CONTAINER)?, value.as_str())))
}

/// The beginning of `value`, hardly more than `length`: enough to be too long, where it is.
fn cut(value: &str, length: usize) -> String {
    let end = value.ceil_char_boundary(length + 1);
    value.get(..end).unwrap_or_default().to_owned()
}
