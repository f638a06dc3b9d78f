//! The rules by which a pod comes to its role, each for itself.

use crate::{
    id::{BaseArn, Excerpt, InvalidRole, RoleArn},
    pods::{
        Subject,
        annotation::{DEFAULT_ROLE, NO_ROLE, ROLE_ARN, of_containers},
        node_role::Entry,
    },
};

use super::{Invalid, Missing, Policy};

/// A place where a role may be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The pod's annotation for one of its containers, [`CONTAINER`](crate::pods::annotation::CONTAINER).
    Container,
    /// The pod's annotation, [`ROLE`](crate::pods::annotation::ROLE) unless it was given another name.
    Annotation,
    /// `--node-role-for`: not a role of its own, but the node's identity.
    NodeRole,
    /// The annotation of its ServiceAccount, [`ROLE_ARN`].
    ServiceAccount,
    /// The annotation of its namespace, [`DEFAULT_ROLE`].
    Namespace,
    /// `--default-role`.
    Default,
}

/// What a rule says about a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing: ask the next one.
    Silent,
    /// It shall have no role.
    NoRole,
    /// It shall have this one.
    Role(RoleArn),
    /// It keeps the node's own identity, by this entry.
    Node(Entry),
    /// Something that cannot be meant.
    Invalid(Invalid),
    /// Nobody knows yet.
    Unknown(Missing),
}

impl Rule {
    /// All rules, the strongest first.
    pub const ALL: [Self; 6] = [
        Self::Container,
        Self::Annotation,
        Self::NodeRole,
        Self::ServiceAccount,
        Self::Namespace,
        Self::Default,
    ];

    /// A word for logs and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Annotation => "annotation",
            Self::NodeRole => "node_role",
            Self::ServiceAccount => "service_account",
            Self::Namespace => "namespace",
            Self::Default => "default",
        }
    }

    /// What it says about the container called `name` of a pod, or about those without a role of their own.
    pub fn find(self, subject: &Subject, name: Option<&str>, policy: &Policy) -> Finding {
        let annotations = &subject.pod.annotations;
        match self {
            Self::Container => match name.and_then(|name| of_container(subject, name)) {
                Some(NO_ROLE) => Finding::NoRole,
                said => named(said, policy),
            },
            Self::Annotation => named(annotations.get(&policy.keys.role), policy),
            Self::NodeRole => match policy.node_role.find(&subject.pod) {
                Some(entry) => Finding::Node(entry.clone()),
                None => Finding::Silent,
            },
            Self::ServiceAccount => service_account(subject),
            Self::Namespace => match &subject.namespace {
                Some(namespace) => named(namespace.annotations().get(DEFAULT_ROLE), policy),
                None => Finding::Unknown(Missing::Namespace),
            },
            Self::Default => match &policy.default_role {
                Some(role) => Finding::Role(role.clone()),
                None => Finding::Silent,
            },
        }
    }
}

fn of_container<'a>(subject: &'a Subject, name: &str) -> Option<&'a str> {
    let mut all = of_containers(&subject.pod.annotations);
    all.find_map(|(of, role)| (of == name).then_some(role))
}

/// IRSA takes whole ARNs only.
fn service_account(subject: &Subject) -> Finding {
    if subject.pod.service_account.is_none() {
        return Finding::Silent;
    }
    match &subject.service_account {
        Some(account) => match account.annotations.get(ROLE_ARN) {
            // As for IRSA itself: charts write an empty one where none is set.
            None => Finding::Silent,
            Some(text) if text.is_empty() => Finding::Silent,
            Some(text) => text.parse().into(),
        },
        None => Finding::Unknown(Missing::ServiceAccount),
    }
}

/// The role that an annotation names. An empty one names none, with or without a base ARN to put before it.
fn named(said: Option<impl AsRef<str>>, policy: &Policy) -> Finding {
    let Some(said) = said else {
        return Finding::Silent;
    };
    match said.as_ref() {
        "" => Finding::Invalid(InvalidRole::Name(Excerpt::of("")).into()),
        role => BaseArn::resolve(policy.base_arn.as_ref(), role).into(),
    }
}

impl From<Result<RoleArn, InvalidRole>> for Finding {
    fn from(role: Result<RoleArn, InvalidRole>) -> Self {
        match role {
            Ok(role) => Self::Role(role),
            Err(reason) => Self::Invalid(reason.into()),
        }
    }
}
