//! What is said of a pod's session beside its role: its name, its tags, what narrows it, and how long it lasts.
//!
//! What the operator decided for all sessions is read and checked once, at the start. A pod names its session, and takes
//! rights and time away from it. It never gets more than the operator gave, and has no say in its tags: policies
//! ask them who it is.

mod cluster;
mod tags;
mod template;

use std::sync::Arc;

use crate::{
    creds::{
        InvalidLength, InvalidPolicies, InvalidTags, Policies, SessionLength, Tags, session_name,
    },
    id::RoleArn,
    pods::{
        Pod,
        annotation::{
            LONGEST_DURATION, LONGEST_POLICY, SESSION_DURATION, SESSION_NAME, SESSION_POLICY,
            SESSION_POLICY_ARNS,
        },
    },
};

use super::Invalid;

pub use cluster::{Cluster, InvalidCluster};
pub use tags::{InvalidSessionTags, SessionTags};
pub use template::{InvalidTemplate, Template};

/// What the operator decided about all sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// How they are called, unless a pod says otherwise.
    pub name: Template,
    /// Their tags. Web identities have none: STS takes their tags from their tokens.
    pub tags: SessionTags,
    /// How long they last, unless a pod wants less.
    pub length: SessionLength,
}

impl Sessions {
    /// For an hour and without tags, all of them called `name`, which is one that STS takes.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: Template::named(name.into()),
            tags: SessionTags::default(),
            length: SessionLength::HOUR,
        }
    }

    /// How the sessions of `pod` are called.
    pub(super) fn name(&self, pod: &Pod) -> Arc<str> {
        match said(pod, SESSION_NAME) {
            Some(name) => session_name(name).into(),
            None => self.name.fill(pod),
        }
    }

    /// The tags of `pod`.
    pub(super) fn tags(&self, pod: &Pod) -> Result<Tags, InvalidTags> {
        self.tags.of(pod)
    }

    /// How long a session of `pod` is to last. Who wants more than the operator gave has what he gave.
    pub(super) fn length(&self, pod: &Pod) -> Result<SessionLength, InvalidLength> {
        let wanted = wanted_length(pod)?;
        Ok(wanted.map_or(self.length, |wanted| wanted.min(self.length)))
    }
}

/// Whether `pod` says itself how its sessions are called.
pub(crate) fn names_its_session(pod: &Pod) -> bool {
    said(pod, SESSION_NAME).is_some()
}

/// How long `pod` wants its sessions to last, if it says so.
pub(crate) fn wanted_length(pod: &Pod) -> Result<Option<SessionLength>, InvalidLength> {
    let said = said(pod, SESSION_DURATION);
    said.map(|text| {
        if text.len() > LONGEST_DURATION {
            return Err(InvalidLength);
        }
        text.parse()
    })
    .transpose()
}

/// What takes rights away from the sessions of `role` that `pod` has.
pub(super) fn policies(pod: &Pod, role: &RoleArn) -> Result<Policies, Invalid> {
    let (inline, arns) = (said(pod, SESSION_POLICY), said(pod, SESSION_POLICY_ARNS));
    for (annotation, text) in [(SESSION_POLICY, inline), (SESSION_POLICY_ARNS, arns)] {
        // The end of a text that was cut is not here, and without it the rest would mean something else.
        if let Some(text) = text.filter(|text| text.len() > LONGEST_POLICY) {
            let reason = Policies::refusal_of_cut(text);
            return Err(Invalid::Policies { annotation, reason });
        }
    }
    Policies::new(inline, arns, role).map_err(|reason| {
        let annotation = match &reason {
            InvalidPolicies::Json(_)
            | InvalidPolicies::NoStatement
            | InvalidPolicies::Character(_)
            | InvalidPolicies::Cut => SESSION_POLICY,
            InvalidPolicies::TooLong(_) if inline.map(str::len) > arns.map(str::len) => {
                SESSION_POLICY
            }
            InvalidPolicies::TooLong(_)
            | InvalidPolicies::TooMany(_)
            | InvalidPolicies::NoArn
            | InvalidPolicies::Arn(_)
            | InvalidPolicies::Account { .. } => SESSION_POLICY_ARNS,
        };
        Invalid::Policies { annotation, reason }
    })
}

/// What stands in an annotation. As for kube2iam and kiam, an empty one says nothing.
pub(super) fn said<'a>(pod: &'a Pod, key: &str) -> Option<&'a str> {
    let text = pod.annotations.get(key)?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
