//! What one container gets: every rule asked, and what comes of it.

use crate::{
    creds::{Identity, WebIdentity},
    id::RoleArn,
    pods::{
        Subject,
        annotation::{CONTAINER, DEFAULT_ROLE, ROLE_ARN},
        binding::{self, Binding, Finding, Policy, Rule},
        restriction::{self, Annotation, Verdict},
    },
    status::Keys,
};

use super::{Case, Found, Outcome, Restriction, Session, Step};

impl Case {
    pub(super) fn new(
        subject: &Subject,
        name: Option<&str>,
        policy: &Policy,
        keys: impl Fn(&Identity) -> Option<Keys>,
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
        let identity = match &binding {
            Binding::Role(identity, _) => Some(identity),
            Binding::Node(_)
            | Binding::Nothing(_)
            | Binding::Invalid(..)
            | Binding::Forbidden(..)
            | Binding::Unknown(_) => None,
        };
        Self {
            container: name.map(str::to_owned),
            steps,
            restriction: said_by_namespace(subject, decided, policy),
            session: identity.map(|identity| Session::new(identity, &subject.pod, policy)),
            keys: identity.and_then(keys),
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
            Rule::NodeRole => "--node-role-for".to_owned(),
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
            Finding::Node(entry) => Self::Node {
                entry: entry.to_string(),
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
fn said_by_namespace(
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
    if binding::is_exempt(&role, rule, policy) {
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

fn judged(compiled: &restriction::Restriction, role: &RoleArn) -> Restriction {
    match compiled.permits(role) {
        Verdict::Permitted { allowed, permitted } => Restriction::Permitted {
            by: allowed
                .into_iter()
                .chain(permitted)
                .map(str::to_owned)
                .collect(),
        },
        Verdict::Refused(refusal) => Restriction::Refused {
            reason: refusal.to_string(),
            entries: [Annotation::Allowed, Annotation::Permitted]
                .into_iter()
                .flat_map(|annotation| compiled.entries(annotation))
                .map(str::to_owned)
                .collect(),
        },
    }
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
            Binding::Node(rule) => Self::Node {
                rule: rule.as_str().to_owned(),
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
