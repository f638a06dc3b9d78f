//! Which role a pod may have: a pure function of the pod, what is around it, and the operator's policy.
//!
//! The first [`Rule`] that says something decides. A wrong value never falls through to the next rule, and what is not
//! known yet is never taken for something that says nothing.

mod rule;
mod session;

use std::sync::Arc;

use clap::ValueEnum;

use crate::{
    creds::{Identity, InvalidLength, InvalidPolicies, InvalidTags, WebIdentity},
    id::{BaseArn, ContainerId, InvalidExternalId, InvalidRole, RoleArn},
    metadata::{Allow, TokenUse},
};

use super::{
    Pod, Subject,
    annotation::{AUDIENCE, Keys, SESSION_DURATION, TOKEN_EXPIRATION, of_containers},
    compat::Compat,
    node_role::NodeRoleFor,
    restriction,
};

pub use rule::{Finding, Rule};
pub use session::{
    Cluster, InvalidCluster, InvalidSessionTags, InvalidTemplate, SessionTags, Sessions, Template,
};
pub(crate) use session::{names_its_session, wanted_length};

/// What STS wants as the audience of a token, unless a ServiceAccount says otherwise.
const STS_AUDIENCE: &str = "sts.amazonaws.com";

/// The life of a token in seconds, unless an annotation says otherwise: as with IRSA.
const TOKEN_LIFE: u32 = 86_400;

/// What IRSA's users may say.
const TOKEN_LIVES: std::ops::RangeInclusive<u32> = 600..=86_400;

/// What the operator decided for all pods.
#[derive(Clone, Debug)]
pub struct Policy {
    /// What is put before role names that are no ARN.
    pub base_arn: Option<BaseArn>,
    /// The role of pods that name none.
    pub default_role: Option<RoleArn>,
    /// Who keeps the node's own identity.
    pub node_role: NodeRoleFor,
    /// Whether pods need tokens of the metadata service, where their namespace does not say it.
    pub tokens: TokenUse,
    /// What of it they may read beside what all may.
    pub allow: Allow,
    /// What is said of sessions at STS.
    pub sessions: Sessions,
    /// What the annotations are called.
    pub keys: Keys,
    /// How namespaces restrict roles, if they do.
    pub restrictions: Option<restriction::Rules>,
    /// Whose column of the table in [`Compat`].
    pub compat: Compat,
    /// How roles are assumed.
    pub exchange: Exchange,
}

impl Policy {
    /// Nobody has a role who does not name a whole ARN; all sessions are called `session_name`, for an hour.
    pub fn new(session_name: impl Into<Arc<str>>) -> Self {
        Self {
            base_arn: None,
            default_role: None,
            node_role: NodeRoleFor::default(),
            tokens: TokenUse::Optional,
            allow: Allow::default(),
            sessions: Sessions::named(session_name),
            keys: Keys::default(),
            restrictions: None,
            compat: Compat::None,
            exchange: Exchange::Auto,
        }
    }
}

/// How roles are assumed (`--credentials`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Exchange {
    /// Those of ServiceAccounts by web identity, all others by the node's role.
    Auto,
    /// By the node's role, which every trust policy then has to name.
    AssumeRole,
    /// By the token of the pod's ServiceAccount.
    WebIdentity,
}

/// What a pod gets, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The credentials of this identity.
    Role(Identity, Rule),
    /// The node's own identity: its requests are passed on to the node's metadata service.
    Node(Rule),
    /// No role: to the pod it looks like an instance without one. If no rule said so, none said anything.
    Nothing(Option<Rule>),
    /// An annotation says something that cannot be meant.
    Invalid(Rule, Invalid),
    /// The namespace does not let its pods have this role.
    Forbidden(RoleArn, restriction::Refusal),
    /// It cannot be decided yet.
    Unknown(Missing),
}

/// What is wrong with an annotation. It takes the pod's role away: a session that is not the one that was asked for
/// would be somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The role.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// The external id.
    #[error(transparent)]
    ExternalId(#[from] InvalidExternalId),
    /// [`TOKEN_EXPIRATION`].
    #[error("{TOKEN_EXPIRATION} is no number of seconds from 600 to 86400")]
    TokenExpiration,
    /// The policies of the session.
    #[error("{annotation}: {reason}")]
    Policies {
        /// The annotation that says them.
        annotation: &'static str,
        /// What is wrong with it.
        reason: InvalidPolicies,
    },
    /// [`SESSION_DURATION`].
    #[error("{SESSION_DURATION}: {0}")]
    Length(InvalidLength),
    /// What the operator wants to say of every pod cannot be said of this one.
    #[error("--session-tags: {0}")]
    Tags(InvalidTags),
    /// There is nothing whose token could be exchanged.
    #[error("the pod has no ServiceAccount, and --credentials web-identity needs its token")]
    NoServiceAccount,
}

/// What is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The pod itself.
    #[error("the pod is not known yet")]
    Pod,
    /// Its namespace.
    #[error("the pod's namespace is not known yet")]
    Namespace,
    /// Its ServiceAccount.
    #[error("the pod's ServiceAccount is not known yet")]
    ServiceAccount,
    /// Which of its containers has this id; it matters where they have roles of their own.
    #[error("which container of the pod this is, is not known yet")]
    Container,
}

/// Decides what the container `id` of a pod gets. Some cgroups of a pod are no container's.
pub fn decide(subject: &Subject, id: Option<ContainerId>, policy: &Policy) -> Binding {
    let pod = &subject.pod;
    if containers(pod).next().is_none() {
        return decide_for(subject, None, policy);
    }
    // Beside the containers, nobody can tell for which of them a process works.
    let Some(id) = id else {
        return Binding::Nothing(Some(Rule::Container));
    };
    match pod.container(id) {
        Some(name) => decide_for(subject, Some(name), policy),
        None => Binding::Unknown(Missing::Container),
    }
}

/// Decides what the container called `name` gets; without one, what those get that have no role of their own.
pub fn decide_for(subject: &Subject, name: Option<&str>, policy: &Policy) -> Binding {
    for rule in Rule::ALL {
        match rule.find(subject, name, policy) {
            Finding::Silent => {}
            Finding::NoRole => return Binding::Nothing(Some(rule)),
            Finding::Node(_entry) => return Binding::Node(rule),
            Finding::Role(role) => return bind(role, rule, subject, policy),
            Finding::Invalid(reason) => return Binding::Invalid(rule, reason),
            Finding::Unknown(what) => return Binding::Unknown(what),
        }
    }
    Binding::Nothing(None)
}

/// Every identity that one of the pod's containers may have, as far as it is known.
pub fn identities(subject: &Subject, policy: &Policy) -> impl Iterator<Item = Identity> {
    let names = containers(&subject.pod).map(Some).chain([None]);
    names.filter_map(|name| match decide_for(subject, name, policy) {
        Binding::Role(identity, _) => Some(identity),
        Binding::Node(_)
        | Binding::Nothing(_)
        | Binding::Invalid(..)
        | Binding::Forbidden(..)
        | Binding::Unknown(_) => None,
    })
}

/// The names of the containers that have a role of their own, or none.
pub fn containers(pod: &Pod) -> impl Iterator<Item = &str> {
    of_containers(&pod.annotations).map(|(name, _)| name)
}

fn bind(role: RoleArn, rule: Rule, subject: &Subject, policy: &Policy) -> Binding {
    let token = is_by_token(rule, policy) && subject.pod.service_account.is_some();
    if token && subject.service_account.is_none() {
        // It says for whom the token is to be.
        return Binding::Unknown(Missing::ServiceAccount);
    }
    match refusal(&role, rule, subject, policy) {
        Err(what) => Binding::Unknown(what),
        Ok(Some(refusal)) => Binding::Forbidden(role, refusal),
        Ok(None) => match identity(role, rule, subject, policy) {
            Ok(identity) => Binding::Role(identity, rule),
            Err(reason) => Binding::Invalid(rule, reason),
        },
    }
}

/// Why the namespace forbids `role`, if it does. What the operator made everybody's by default is not forbidden.
fn refusal(
    role: &RoleArn,
    rule: Rule,
    subject: &Subject,
    policy: &Policy,
) -> Result<Option<restriction::Refusal>, Missing> {
    let Some(rules) = &policy.restrictions else {
        return Ok(None);
    };
    if is_exempt(role, rule, policy) {
        return Ok(None);
    }
    let namespace = subject.namespace.as_ref().ok_or(Missing::Namespace)?;
    Ok(namespace.refusal(role, rules, &policy.keys))
}

/// Whether no namespace is asked about `role`, because the operator gave it to everybody.
pub(crate) fn is_exempt(role: &RoleArn, rule: Rule, policy: &Policy) -> bool {
    rule == Rule::Default || policy.default_role.as_ref() == Some(role)
}

/// The session of a role that a pod gets.
fn identity(
    role: RoleArn,
    rule: Rule,
    subject: &Subject,
    policy: &Policy,
) -> Result<Identity, Invalid> {
    let (pod, sessions) = (&*subject.pod, &policy.sessions);
    let session_name = sessions.name(pod);
    let policies = session::policies(pod, &role)?;
    let length = sessions.length(pod).map_err(Invalid::Length)?;
    if is_by_token(rule, policy) {
        // A token says more than an external id and tags; STS takes none beside it.
        return Ok(Identity {
            web_identity: Some(web_identity(subject)?),
            policies,
            length,
            ..Identity::new(role, session_name)
        });
    }
    let external_id = session::said(pod, &policy.keys.external_id);
    Ok(Identity {
        external_id: external_id.map(str::parse).transpose()?,
        tags: sessions.tags(pod).map_err(Invalid::Tags)?,
        policies,
        length,
        ..Identity::new(role, session_name)
    })
}

/// Whether the pod's own token is exchanged for a role that `rule` gave.
fn is_by_token(rule: Rule, policy: &Policy) -> bool {
    match policy.exchange {
        Exchange::WebIdentity => true,
        Exchange::Auto => rule == Rule::ServiceAccount,
        Exchange::AssumeRole => false,
    }
}

fn web_identity(subject: &Subject) -> Result<WebIdentity, Invalid> {
    let pod = &subject.pod;
    let service_account = pod.service_account.as_deref();
    let account = subject.service_account.as_deref();
    let of_account = |key| account.and_then(|account| account.annotations.get(key));
    let life = pod.annotations.get(TOKEN_EXPIRATION);
    Ok(WebIdentity {
        pod: pod.name.clone(),
        uid: pod.api_uid,
        service_account: service_account.ok_or(Invalid::NoServiceAccount)?.into(),
        audience: match of_account(AUDIENCE) {
            Some(audience) if !audience.is_empty() => audience.as_str().into(),
            Some(_) | None => STS_AUDIENCE.into(),
        },
        life: match life.or_else(|| of_account(TOKEN_EXPIRATION)) {
            Some(text) => token_life(text)?,
            None => TOKEN_LIFE,
        },
    })
}

fn token_life(text: &str) -> Result<u32, Invalid> {
    let life = text.parse().ok();
    life.filter(|life| TOKEN_LIVES.contains(life))
        .ok_or(Invalid::TokenExpiration)
}

#[cfg(test)]
mod tests;
