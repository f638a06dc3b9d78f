//! What STS was asked, for assertions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{code::Code, protocol::Form, sigv4::Signer};

/// A call that came, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When, by STS's clock.
    pub at: Timestamp,
    /// What shall be done, as it was spelled.
    pub action: String,
    /// The ARN of the role that was asked for, as it was spelled.
    pub role: Option<String>,
    /// All parameters; secrets are replaced.
    pub parameters: BTreeMap<String, String>,
    /// The access key that signed, if the signature was good.
    pub signed_by: Option<String>,
    /// The Region that the signature is for.
    pub region: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The access key that was given out.
    pub issued: Option<String>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It got what it asked for.
    Granted,
    /// It got an error.
    Refused(Code),
    /// It got nonsense.
    Garbage,
    /// It got the beginning of an answer.
    Cut,
    /// Its connection was closed.
    Closed,
    /// It waits.
    Hung,
}

/// How often an action was asked for a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The action, as it was spelled.
    pub action: String,
    /// The role's ARN, as it was spelled.
    pub role: Option<String>,
    /// How often.
    pub calls: usize,
}

impl Call {
    pub(super) fn new(at: Timestamp, form: &Form) -> Self {
        Self {
            at,
            action: form.get("Action").unwrap_or_default().to_owned(),
            role: form.get("RoleArn").map(ToOwned::to_owned),
            parameters: form.redacted(),
            signed_by: None,
            region: None,
            outcome: Outcome::Hung, // until something becomes of it
            issued: None,
        }
    }

    pub(super) fn signed_by(&mut self, signer: &Signer) {
        self.signed_by = Some(signer.access_key_id.clone());
        self.region = Some(signer.region.clone());
    }
}

pub(super) fn counts(calls: &[Call]) -> Vec<Count> {
    let mut counts = BTreeMap::<_, usize>::new();
    for call in calls {
        *counts.entry((&call.action, &call.role)).or_default() += 1;
    }
    counts
        .into_iter()
        .map(|((action, role), calls)| Count {
            action: action.clone(),
            role: role.clone(),
            calls,
        })
        .collect()
}
