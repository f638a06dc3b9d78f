//! Why a pod has the role that it has, rule by rule; and what it would have, were it otherwise.
//!
//! Nothing is decided here: the rules are asked one by one, and the decision is the one that requests get
//! ([`binding`]). The model crosses the control socket as JSON. Programs read it: fields are added, not renamed.

mod case;
mod metadata;
mod question;
mod session;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    creds::Identity,
    pods::{
        Subject,
        binding::{self, Policy},
    },
    status::Keys,
    terminal::Colour,
};

pub use metadata::{Allowed, Metadata};
pub use question::{Question, Supposition, WrongQuestion};
pub use session::Session;

/// What there is to say about a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// As its cgroup names it.
    pub uid: String,
    /// The ServiceAccount it runs as.
    pub service_account: Option<String>,
    /// What was supposed, where it is not about the pod as it is.
    pub supposed: Vec<String>,
    /// What its containers get: those with a role of their own each for itself, then all others.
    pub cases: Vec<Case>,
    /// What it sees of the metadata service; `None` where all its requests are passed on to the node's.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// What a container gets, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The container; `None` for all that have no role of their own.
    pub container: Option<String>,
    /// Every rule in its order.
    pub steps: Vec<Step>,
    /// What the namespace says of the role that was named.
    pub restriction: Restriction,
    /// What it comes to.
    pub outcome: Outcome,
    /// What the session of the role is made of.
    pub session: Option<Session>,
    /// Whether there are keys for it.
    pub keys: Option<Keys>,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The rule's word.
    pub rule: String,
    /// Where it looks.
    pub place: String,
    /// What it found.
    #[serde(flatten)]
    pub finding: Found,
    /// Whether this rule decided.
    pub decides: bool,
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Found {
    /// Nothing.
    Silent,
    /// That there shall be no role.
    NoRole,
    /// A role.
    Role {
        /// Its ARN.
        role: String,
    },
    /// That it keeps the node's own identity.
    Node {
        /// The entry that names it.
        entry: String,
    },
    /// Something that cannot be meant.
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody knows yet.
    Unknown {
        /// What is missing.
        reason: String,
    },
}

/// What a namespace says of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Restriction {
    /// Namespaces restrict nothing (`--namespace-restrictions`).
    Off,
    /// No role was named, or the namespace is not known.
    NotAsked,
    /// It is the operator's default role, which every pod may have.
    Exempt,
    /// Its pods may have it.
    Permitted {
        /// The entries that say so, as they are written.
        by: Vec<String>,
    },
    /// They may not.
    Refused {
        /// Why.
        reason: String,
        /// What is permitted, as it is written.
        entries: Vec<String>,
    },
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A role.
    Role {
        /// Its ARN.
        role: String,
        /// The rule that gave it.
        rule: String,
        /// How it is assumed.
        by: String,
        /// The name of the session.
        session_name: String,
        /// Whether an external id is sent along.
        external_id: Option<String>,
    },
    /// The node's own identity.
    Node {
        /// The rule that gave it.
        rule: String,
    },
    /// None.
    Nothing {
        /// Why.
        reason: String,
    },
    /// It cannot be told yet, and requests wait.
    Unknown {
        /// What is missing.
        reason: String,
    },
}

impl Explanation {
    /// Explains `subject` as it is here; `supposed` says in words what is otherwise than in the world. `state` says what
    /// there is for an identity.
    pub fn new(
        subject: &Subject,
        supposed: Vec<String>,
        policy: &Policy,
        keys: impl Fn(&Identity) -> Option<Keys>,
    ) -> Self {
        let pod = &subject.pod;
        let names = binding::containers(pod).map(Some).chain([None]);
        let cases: Vec<_> = names
            .map(|name| Case::new(subject, name, policy, &keys))
            .collect();
        let is_passed_on = |case: &Case| matches!(case.outcome, Outcome::Node { .. });
        let is_answered = !cases.iter().all(is_passed_on);
        Self {
            namespace: pod.name.namespace().to_owned(),
            name: pod.name.name().to_owned(),
            uid: pod.uid.to_string(),
            service_account: pod.service_account.clone(),
            supposed,
            cases,
            metadata: is_answered.then(|| Metadata::new(subject, policy)),
        }
    }

    /// For programs.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        Ok(json)
    }

    /// For people who look at it at the time `now`.
    pub fn to_text(&self, now: Timestamp, colour: Colour) -> String {
        text::page(self, now, colour)
    }
}

#[cfg(test)]
mod tests;
