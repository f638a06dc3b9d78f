//! What is wrong with a pod's role, and what to change, in words.
//!
//! What people wrote themselves is repeated as an [`Excerpt`] only.

use crate::{
    creds::{Identity, SourceError, WebIdentity, web_identity::TokenError},
    id::{Excerpt, RoleArn},
    pods::{
        Subject,
        annotation::{
            CONTAINER, DEFAULT_ROLE, PERMITTED, ROLE_ARN, SESSION_DURATION, SESSION_POLICY,
            SESSION_POLICY_ARNS, TOKEN_EXPIRATION,
        },
        binding::{self, Binding, Invalid, Policy, Rule},
        restriction::{Annotation, Refusal},
    },
};

use super::Reason;

/// So many things that are wrong with a namespace are told. It may have more.
pub(super) const TOLD: usize = 3;

/// Who speaks of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) subject: &'a Subject,
    /// The container, if it has a role of its own.
    pub(super) name: Option<&'a str>,
    pub(super) policy: &'a Policy,
}

impl Text<'_> {
    /// An annotation that cannot be meant.
    pub(super) fn invalid(self, rule: Rule, invalid: &Invalid) -> (Reason, String) {
        let note = match invalid {
            Invalid::Role(role) => format!("{} is wrong: {role}", self.place(rule)),
            Invalid::ExternalId(id) => {
                format!("{} is wrong: {id}", of_pod(&self.policy.keys.external_id))
            }
            Invalid::TokenExpiration => {
                format!("{} is wrong: {invalid}", self.token_expiration())
            }
            Invalid::Policies { annotation, reason } => {
                format!("{} is wrong: {reason}", of_pod(annotation))
            }
            Invalid::Length(length) => {
                format!("{} is wrong: {length}", of_pod(SESSION_DURATION))
            }
            Invalid::Tags(tags) => format!("The agent's --session-tags are wrong: {tags}"),
            Invalid::NoServiceAccount => invalid.to_string(),
        };
        let note = format!("{note}. The pod gets no credentials until this is corrected.");
        (Reason::InvalidAnnotation, note)
    }

    /// A role that the namespace does not permit.
    pub(super) fn forbidden(self, role: &RoleArn, refusal: &Refusal) -> (Reason, String) {
        let namespace = self.subject.pod.name.namespace();
        let key = self.restriction_key(refusal.annotation());
        if let Refusal::Invalid(invalid) = refusal {
            let note = format!(
                "The annotation {key} of the namespace {namespace} is wrong: {invalid}. \
                 Its pods get no credentials until this is corrected."
            );
            return (Reason::InvalidAnnotation, note);
        }
        let note = format!(
            "The namespace {namespace} does not permit the role {role}: {refusal}. Add the role to the annotation \
             {key} of the namespace {namespace}, or have the pod ask for another role."
        );
        (Reason::RoleForbidden, note)
    }

    /// Where a rule looks.
    fn place(self, rule: Rule) -> String {
        let namespace = self.subject.pod.name.namespace();
        match rule {
            Rule::Container => of_pod(&format!("{CONTAINER}{}", self.name.unwrap_or_default())),
            Rule::Annotation => of_pod(&self.policy.keys.role),
            Rule::NodeRole => "The agent's --node-role-for".to_owned(),
            Rule::ServiceAccount => self.of_service_account(ROLE_ARN),
            Rule::Namespace => {
                format!("The annotation {DEFAULT_ROLE} of the namespace {namespace}")
            }
            Rule::Default => "The agent's --default-role".to_owned(),
        }
    }

    fn token_expiration(self) -> String {
        if self.subject.pod.annotations.contains_key(TOKEN_EXPIRATION) {
            of_pod(TOKEN_EXPIRATION)
        } else {
            self.of_service_account(TOKEN_EXPIRATION)
        }
    }

    fn of_service_account(self, key: &str) -> String {
        let pod = &self.subject.pod;
        let name = pod.service_account.as_deref().unwrap_or_default();
        format!(
            "The annotation {key} of the ServiceAccount {}/{name}",
            pod.name.namespace()
        )
    }

    fn restriction_key(self, annotation: Annotation) -> String {
        match annotation {
            Annotation::Allowed => self.policy.keys.allowed_roles.clone(),
            Annotation::Permitted => PERMITTED.to_owned(),
        }
    }
}

/// What the namespace says of the metadata service, where that cannot be meant. Pods whose requests are passed on do not
/// mind.
pub(super) fn of_metadata(subject: &Subject, policy: &Policy) -> Option<(Reason, String)> {
    let wrong = &subject.namespace.as_ref()?.said().wrong;
    let is_node = || matches!(binding::decide_for(subject, None, policy), Binding::Node(_));
    if wrong.is_empty() || is_node() {
        return None;
    }
    let (told, left) = wrong.split_at(wrong.len().min(TOLD));
    let more = match left.len() {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    let namespace = subject.pod.name.namespace();
    let note = format!(
        "An annotation of the namespace {namespace} is wrong: {}{more}. What is wrong counts for nothing, or as the \
         stricter.",
        told.join("; ")
    );
    Some((Reason::InvalidNamespaceAnnotation, note))
}

/// An attempt to get credentials that failed, and will fail again until somebody changes something.
///
/// Nothing is repeated here of what STS and the API server say: their words name the node's role and instance, and the
/// agent's own account, and are for those who read the agent's log.
pub(super) fn of_failure(identity: &Identity, failure: &SourceError) -> Option<(Reason, String)> {
    let note = match failure {
        SourceError::Denied { role, code, .. } => {
            let what = match &identity.web_identity {
                None => by_node(identity),
                // A code that nobody knows may be a refusal too.
                Some(whose) => whose
                    .advice(code, role)
                    .unwrap_or_else(|| format!("it was shown a token of {}", whose.subject())),
            };
            format!("STS refuses the role {role} ({code}): {what}. {WORDS}")
        }
        SourceError::Invalid { role, code, .. } => {
            if let Some(note) = policies(identity, code) {
                return Some((Reason::InvalidAnnotation, note));
            }
            let whose = identity.web_identity.as_ref();
            let advice = whose.and_then(|whose| whose.advice(code, role));
            let advice = advice.map_or_else(String::new, |advice| format!(": {advice}"));
            format!("STS does not take the request for the role {role} ({code}){advice}. {WORDS}")
        }
        SourceError::NoToken {
            role,
            whose,
            reason,
        } => {
            let note = no_token(role, whose, reason)?;
            return Some((Reason::NoServiceAccountToken, note));
        }
        SourceError::Throttled { .. } | SourceError::Unavailable { .. } => return None,
    };
    Some((Reason::RoleRefusedBySts, note))
}

/// What is needed where no token is shown.
fn by_node(identity: &Identity) -> String {
    let actions = if identity.tags.is_empty() {
        "sts:AssumeRole"
    } else {
        "sts:AssumeRole and sts:TagSession"
    };
    let condition = match identity.external_id {
        Some(_) => " with the pod's external id",
        None => "",
    };
    format!(
        "the role's trust policy must allow {actions} to the node's role{condition}, and the node's role needs \
         {actions} on it"
    )
}

/// What is wrong with the policies of a session, if it is they that STS does not take.
fn policies(identity: &Identity, code: &str) -> Option<String> {
    let (role, policies) = (&identity.role, &identity.policies);
    let inline = policies.inline().map(|_| SESSION_POLICY);
    let managed = (policies.arns().len() > 0).then_some(SESSION_POLICY_ARNS);
    let place = match (inline, managed) {
        (Some(one), Some(other)) => of_pod(&format!("{one} or {other}")),
        (one, other) => of_pod(one.or(other)?),
    };
    let why = match code {
        "MalformedPolicyDocument" => {
            format!("STS does not take the policy for the role {role} ({code})")
        }
        "PackedPolicyTooLarge" => format!(
            "with it the session of the role {role} is larger than STS takes once its policies, their ARNs and \
             its tags are packed ({code}); shorten it"
        ),
        _ => return None,
    };
    Some(format!(
        "{place} is wrong: {why}. The pod gets no credentials until this is corrected. {WORDS}"
    ))
}

/// Where the rest is.
const WORDS: &str = "The agent's log has the whole answer.";

fn no_token(role: &RoleArn, whose: &WebIdentity, reason: &TokenError) -> Option<String> {
    let why = match reason {
        TokenError::NoSource => "pods come from files here, and tokens from an API server",
        TokenError::Forbidden(_) => {
            "the API server does not let the agent have it; the ClusterRole and the policy of \
             deploy/manifests/2-web-identity.yaml say which tokens it may have"
        }
        TokenError::NoServiceAccount(_) => "the ServiceAccount does not exist",
        TokenError::Refused(_) => "the API server makes no such token",
        // There is nobody left to tell, or it will pass.
        TokenError::OtherPod(_) | TokenError::NoPod(_) | TokenError::Unavailable(_) => return None,
    };
    let (subject, audience) = (whose.subject(), Excerpt::of(&whose.audience));
    Some(format!(
        "There is no token of {subject} for {audience}, to be shown to STS for the role {role}: {why}. {WORDS}"
    ))
}

fn of_pod(key: &str) -> String {
    format!("The annotation {key} of this pod")
}
