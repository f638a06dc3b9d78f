//! A pod, as far as its role goes.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    id::{PodUid, RoleArn},
    pods::{self, binding::Binding},
};

use super::Keys;

/// A pod of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// As its cgroup names it.
    #[serde(with = "as_text")]
    pub uid: PodUid,
    /// What it gets.
    #[serde(flatten)]
    pub role: Role,
}

/// What a pod gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Role {
    /// The credentials of a role.
    Bound {
        /// The role.
        #[serde(with = "as_text")]
        role: RoleArn,
        /// The rule that gave it.
        rule: String,
        /// Whether there are keys.
        #[serde(flatten)]
        keys: Keys,
    },
    /// The identity of somebody else.
    Other {
        /// Whose.
        identity: Whose,
        /// The rule that gave it.
        rule: String,
    },
    /// Nothing.
    None {
        /// Why.
        reason: String,
    },
}

/// Whose identity a pod has that has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The node's.
    Node,
}

impl Pod {
    /// What there is to say about `pod`. `keys` are those of the identity it is bound to; nobody has
    /// asked for an identity without them yet.
    pub fn new(pod: &pods::Pod, binding: &Binding, keys: Option<Keys>) -> Self {
        Self {
            namespace: pod.name.namespace().to_owned(),
            name: pod.name.name().to_owned(),
            uid: pod.uid,
            role: Role::new(binding, keys),
        }
    }
}

impl Role {
    fn new(binding: &Binding, keys: Option<Keys>) -> Self {
        match binding {
            Binding::Role(identity, rule) => Self::Bound {
                role: identity.role.clone(),
                rule: rule.as_str().to_owned(),
                keys: keys.unwrap_or(Keys::Fetching { next: None }),
            },
            Binding::Node(rule) => Self::Other {
                identity: Whose::Node,
                rule: rule.as_str().to_owned(),
            },
            Binding::Nothing(_) => Self::None {
                reason: "nothing names a role for it".to_owned(),
            },
            Binding::Invalid(_, invalid) => Self::None {
                reason: invalid.to_string(),
            },
            Binding::Forbidden(role, refusal) => Self::None {
                reason: format!("{role}: {refusal}"),
            },
            Binding::Unknown(missing) => Self::None {
                reason: missing.to_string(),
            },
        }
    }
}

/// Identifiers cross as the text that they parse from.
mod as_text {
    use super::{Deserialize as _, Deserializer, Display, FromStr, Serializer, de};

    pub(super) fn serialize<S: Serializer>(id: &impl Display, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}
