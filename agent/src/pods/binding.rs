//! Which role a pod may have: a pure function of the pod and the operator's policy.

use std::sync::Arc;

use crate::{
    creds::{Identity, session_name},
    id::{BaseArn, InvalidExternalId, InvalidRole, RoleArn},
};

use super::Pod;

/// The annotation by which a pod names its role (kube2iam, kiam).
pub const ROLE: &str = "iam.amazonaws.com/role";

/// The annotation by which a pod gives the external id that its role's trust policy asks for (kube2iam, kiam).
pub const EXTERNAL_ID: &str = "iam.amazonaws.com/external-id";

/// The annotation by which a pod names its sessions at STS (kiam).
pub const SESSION_NAME: &str = "iam.amazonaws.com/session-name";

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
    /// An annotation says something that cannot be meant.
    Invalid(Invalid),
}

/// What is wrong with an annotation. It takes the pod's role away: a session that is not the one that was asked for
/// would be somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// [`ROLE`].
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// [`EXTERNAL_ID`].
    #[error(transparent)]
    ExternalId(#[from] InvalidExternalId),
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
    match role(pod, policy) {
        Ok(None) => Binding::Nothing,
        Ok(Some((role, rule))) => match identity(role, pod, policy) {
            Ok(identity) => Binding::Role(identity, rule),
            Err(reason) => Binding::Invalid(reason),
        },
        Err(reason) => Binding::Invalid(reason.into()),
    }
}

fn role(pod: &Pod, policy: &Policy) -> Result<Option<(RoleArn, Rule)>, InvalidRole> {
    if let Some(named) = pod.annotations.get(ROLE) {
        let role = named_role(named, policy.base_arn.as_ref())?;
        return Ok(Some((role, Rule::Annotation)));
    }
    let default = policy.default_role.clone();
    Ok(default.map(|role| (role, Rule::Default)))
}

/// The role that an annotation names. An empty one names none, with or without a base ARN to put before it.
fn named_role(named: &str, base: Option<&BaseArn>) -> Result<RoleArn, InvalidRole> {
    if named.is_empty() {
        return Err(InvalidRole::Name(String::new()));
    }
    BaseArn::resolve(base, named)
}

/// The session of a role that a pod gets. As for kube2iam and kiam, an empty annotation says nothing.
fn identity(role: RoleArn, pod: &Pod, policy: &Policy) -> Result<Identity, Invalid> {
    let said = |key| pod.annotations.get(key).filter(|text| !text.is_empty());
    let external_id = said(EXTERNAL_ID).map(|text| text.parse()).transpose()?;
    let named = said(SESSION_NAME).map(|name| session_name(name).into());
    Ok(Identity {
        role,
        external_id,
        session_name: named.unwrap_or_else(|| Arc::clone(&policy.session_name)),
    })
}

#[cfg(test)]
mod tests;
