//! A pod, as far as its role goes.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    creds::State,
    id::{PodUid, RoleArn},
    pods::{self, binding::Binding},
};

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
    /// Nothing.
    None {
        /// Why.
        reason: String,
    },
}

/// Whether there are keys for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Keys {
    /// They are being fetched.
    Fetching,
    /// There are.
    Ready {
        /// When we got them.
        refreshed: Timestamp,
        /// When they end.
        expires: Timestamp,
    },
    /// There are none.
    Failed {
        /// What STS said last.
        message: String,
    },
}

impl Pod {
    /// What there is to say about `pod`. `state` is that of the identity it is bound to; nobody has
    /// asked for an identity without one yet.
    pub fn new(pod: &pods::Pod, binding: &Binding, state: Option<&State>) -> Self {
        Self {
            namespace: pod.name.namespace().to_owned(),
            name: pod.name.name().to_owned(),
            uid: pod.uid,
            role: Role::new(binding, state),
        }
    }
}

impl Role {
    fn new(binding: &Binding, state: Option<&State>) -> Self {
        match binding {
            Binding::Role(identity, rule) => Self::Bound {
                role: identity.role.clone(),
                rule: rule.as_str().to_owned(),
                keys: state.map_or(Keys::Fetching, Keys::from),
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

impl From<&State> for Keys {
    fn from(state: &State) -> Self {
        match state {
            State::Fetching => Self::Fetching,
            State::Ready(credentials) => Self::Ready {
                refreshed: credentials.issued,
                expires: credentials.expires,
            },
            State::Failed(error) => Self::Failed {
                message: error.to_string(),
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
