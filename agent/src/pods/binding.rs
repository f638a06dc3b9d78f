//! Which role a pod may have: a pure function of the pod and the operator's policy.

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
    pub session_name: String,
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
pub fn decide(_pod: &Pod, _policy: &Policy) -> Binding {
    Binding::Nothing
}
