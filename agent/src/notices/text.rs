//! What is wrong with a pod's role, and what to change, in words.
//!
//! What people wrote themselves is repeated as an [`Excerpt`](crate::id::Excerpt) only.

use crate::{
    creds::{Identity, SourceError},
    id::RoleArn,
    pods::{
        Subject,
        annotation::{CONTAINER, DEFAULT_ROLE, PERMITTED, ROLE_ARN, TOKEN_EXPIRATION},
        binding::{Invalid, Policy, Rule},
        restriction::{Annotation, Refusal},
    },
};

use super::Reason;

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

/// An attempt to get credentials that failed, and will fail again until somebody changes something.
pub(super) fn of_failure(identity: &Identity, failure: &SourceError) -> Option<(Reason, String)> {
    match failure {
        SourceError::Denied { role, message } if identity.web_identity.is_none() => {
            let note = format!(
                "STS refuses the role {role}. Its trust policy has to name the role of the node as principal, and \
                 the role of the node needs sts:AssumeRole on it. STS says: {message}"
            );
            Some((Reason::RoleRefusedBySts, note))
        }
        SourceError::Denied { .. } | SourceError::Invalid { .. } => {
            Some((Reason::RoleRefusedBySts, failure.to_string()))
        }
        // There is nobody left to tell.
        SourceError::NoToken { reason, .. } if reason.is_of_a_gone_pod() => None,
        SourceError::NoToken { .. } => Some((Reason::NoServiceAccountToken, failure.to_string())),
        SourceError::Throttled { .. } | SourceError::Unavailable { .. } => None,
    }
}

fn of_pod(key: &str) -> String {
    format!("The annotation {key} of this pod")
}
