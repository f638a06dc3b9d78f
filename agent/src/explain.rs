//! Why a pod has the role that it has, rule by rule; and what it would have, were it otherwise.
//!
//! Nothing is decided here: the rules are asked one by one, and the decision is the one that requests get
//! ([`binding`]). The model crosses the control socket as JSON. Programs read it: fields are added, not renamed.

mod question;
mod text;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    creds::{Identity, State, WebIdentity},
    id::{Excerpt, RoleArn},
    pods::{
        Subject,
        annotation::{CONTAINER, DEFAULT_ROLE, ROLE_ARN},
        binding::{self, Binding, Finding, Policy, Rule},
        restriction::{Annotation, Verdict},
    },
    status::Keys,
    terminal::Colour,
};

pub use question::{Question, Supposition, WrongQuestion};

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
        state: impl Fn(&Identity) -> Option<State>,
    ) -> Self {
        let pod = &subject.pod;
        let names = binding::containers(pod).map(Some).chain([None]);
        Self {
            namespace: pod.name.namespace().to_owned(),
            name: pod.name.name().to_owned(),
            uid: pod.uid.to_string(),
            service_account: pod.service_account.clone(),
            supposed,
            cases: names
                .map(|name| Case::new(subject, name, policy, &state))
                .collect(),
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

impl Case {
    fn new(
        subject: &Subject,
        name: Option<&str>,
        policy: &Policy,
        state: impl Fn(&Identity) -> Option<State>,
    ) -> Self {
        let mut steps = Vec::new();
        let mut decided = None;
        for rule in Rule::ALL {
            let found = rule.find(subject, name, policy);
            let decides = decided.is_none() && found != Finding::Silent;
            if decides {
                decided = Some((rule, found.clone()));
            }
            if rule != Rule::Container || name.is_some() {
                steps.push(Step::new(rule, name, policy, (found, decides)));
            }
        }
        let binding = binding::decide_for(subject, name, policy);
        Self {
            container: name.map(str::to_owned),
            steps,
            restriction: restriction(subject, decided, policy),
            keys: match &binding {
                Binding::Role(identity, _) => state(identity).as_ref().map(Keys::from),
                Binding::Nothing(_)
                | Binding::Invalid(..)
                | Binding::Forbidden(..)
                | Binding::Unknown(_) => None,
            },
            outcome: binding.into(),
        }
    }
}

impl Step {
    fn new(
        rule: Rule,
        name: Option<&str>,
        policy: &Policy,
        (finding, decides): (Finding, bool),
    ) -> Self {
        let place = match rule {
            Rule::Container => format!("pod, {CONTAINER}{}", name.unwrap_or_default()),
            Rule::Annotation => format!("pod, {}", policy.keys.role),
            Rule::ServiceAccount => format!("ServiceAccount, {ROLE_ARN}"),
            Rule::Namespace => format!("namespace, {DEFAULT_ROLE}"),
            Rule::Default => "--default-role".to_owned(),
        };
        Self {
            rule: rule.as_str().to_owned(),
            place,
            finding: finding.into(),
            decides,
        }
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        match finding {
            Finding::Silent => Self::Silent,
            Finding::NoRole => Self::NoRole,
            Finding::Role(role) => Self::Role {
                role: role.to_string(),
            },
            Finding::Invalid(reason) => Self::Invalid {
                reason: reason.to_string(),
            },
            Finding::Unknown(missing) => Self::Unknown {
                reason: missing.to_string(),
            },
        }
    }
}

/// What the namespace says of the role that `decided` named.
fn restriction(
    subject: &Subject,
    decided: Option<(Rule, Finding)>,
    policy: &Policy,
) -> Restriction {
    let Some(rules) = &policy.restrictions else {
        return Restriction::Off;
    };
    let (Some((rule, Finding::Role(role))), Some(namespace)) = (decided, &subject.namespace) else {
        return Restriction::NotAsked;
    };
    if rule == Rule::Default || policy.default_role.as_ref() == Some(&role) {
        return Restriction::Exempt;
    }
    match namespace.restriction(rules, &policy.keys) {
        Ok(compiled) => judged(compiled, &role),
        Err(invalid) => Restriction::Refused {
            reason: invalid.to_string(),
            entries: Vec::new(),
        },
    }
}

fn judged(compiled: &crate::pods::restriction::Restriction, role: &RoleArn) -> Restriction {
    match compiled.permits(role) {
        Verdict::Permitted { allowed, permitted } => Restriction::Permitted {
            by: allowed.into_iter().chain(permitted).map(quoted).collect(),
        },
        Verdict::Refused(refusal) => Restriction::Refused {
            reason: refusal.to_string(),
            entries: [Annotation::Allowed, Annotation::Permitted]
                .into_iter()
                .flat_map(|annotation| compiled.entries(annotation))
                .map(quoted)
                .collect(),
        },
    }
}

fn quoted(text: &str) -> String {
    Excerpt::of(text).to_string()
}

impl From<Binding> for Outcome {
    fn from(binding: Binding) -> Self {
        match binding {
            Binding::Role(identity, rule) => Self::Role {
                role: identity.role.to_string(),
                rule: rule.as_str().to_owned(),
                by: by(identity.web_identity.as_ref()),
                session_name: identity.session_name.to_string(),
                external_id: identity.external_id.map(|id| id.to_string()),
            },
            Binding::Nothing(Some(_)) => Self::Nothing {
                reason: "it shall have none".to_owned(),
            },
            Binding::Nothing(None) => Self::Nothing {
                reason: "nothing names one".to_owned(),
            },
            Binding::Invalid(_, reason) => Self::Nothing {
                reason: reason.to_string(),
            },
            Binding::Forbidden(_, refusal) => Self::Nothing {
                reason: refusal.to_string(),
            },
            Binding::Unknown(missing) => Self::Unknown {
                reason: missing.to_string(),
            },
        }
    }
}

fn by(web_identity: Option<&WebIdentity>) -> String {
    match web_identity {
        None => "the node's role".to_owned(),
        Some(token) => format!(
            "a token of the ServiceAccount {} for {}",
            token.service_account, token.audience
        ),
    }
}

#[cfg(test)]
mod tests;
