//! What the session of a role is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    creds::{Identity, SessionLength},
    pods::{
        Pod,
        annotation::{SESSION_DURATION, SESSION_NAME},
        binding::{self, Policy},
    },
};

/// What is said of a session beside its role. Its name, and how the role is assumed, are in the outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What gave it its name: the pod's annotation, or the operator's flag.
    pub name_by: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Why it has none, although the operator wants tags.
    pub untagged: Option<String>,
    /// The inline policy that takes rights away from it.
    pub policy: Option<String>,
    /// The ARNs of managed policies that do the same.
    pub policy_arns: Vec<String>,
    /// How long it is asked to last.
    pub duration_seconds: u16,
    /// How long the pod wants it to last, if it says so.
    pub wanted_duration_seconds: Option<u16>,
}

impl Session {
    pub(super) fn new(identity: &Identity, pod: &Pod, policy: &Policy) -> Self {
        let tags = identity.tags.iter();
        let is_untagged = identity.web_identity.is_some() && !policy.sessions.tags.is_empty();
        // A length that is none has no identity.
        let wanted = binding::wanted_length(pod).ok().flatten();
        let name_by = if binding::names_its_session(pod) {
            SESSION_NAME
        } else {
            "--session-name"
        };
        Self {
            name_by: name_by.to_owned(),
            tags: tags
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            untagged: is_untagged.then(|| "STS takes those of the token".to_owned()),
            policy: identity.policies.inline().map(str::to_owned),
            policy_arns: identity.policies.arns().map(str::to_owned).collect(),
            duration_seconds: identity.length.as_secs(),
            wanted_duration_seconds: wanted.map(SessionLength::as_secs),
        }
    }

    /// For people: what there is to say, each under its title.
    pub(super) fn lines(&self) -> [(&'static str, Option<String>); 4] {
        let arns = &self.policy_arns;
        [
            ("tags", self.tags()),
            ("session policy", self.policy.clone()),
            (
                "session policies",
                (!arns.is_empty()).then(|| arns.join(", ")),
            ),
            ("duration", Some(self.duration())),
        ]
    }

    fn tags(&self) -> Option<String> {
        if let Some(reason) = &self.untagged {
            return Some(format!("none: {reason}"));
        }
        let tags = self.tags.iter();
        let tags: Vec<_> = tags.map(|(key, value)| format!("{key}={value}")).collect();
        (!tags.is_empty()).then(|| tags.join(", "))
    }

    fn duration(&self) -> String {
        let seconds = self.duration_seconds;
        let by = match self.wanted_duration_seconds {
            None => format!("{seconds}s, by --session-duration"),
            Some(wanted) if wanted == seconds => format!("{seconds}s, by {SESSION_DURATION}"),
            Some(wanted) => format!(
                "{seconds}s, by --session-duration; {SESSION_DURATION} wants {wanted}s, and can only shorten it"
            ),
        };
        if seconds > SessionLength::HOUR.as_secs() {
            // Nobody but STS knows what the role allows, and whether one role assumes another.
            format!("asked for: {by}; one hour where STS gives no more")
        } else {
            by
        }
    }
}
