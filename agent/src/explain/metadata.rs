//! What a pod sees of the metadata service beside its role, and who says so.

use serde::{Deserialize, Serialize};

use crate::{
    metadata::TokenUse,
    pods::{
        Subject,
        annotation::{ALLOW_PATHS, IMDS_TOKENS},
        binding::{Missing, Policy},
    },
};

/// What a pod sees, as far as its requests are not passed on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// `optional` or `required`.
    pub tokens: String,
    /// Who says so.
    pub tokens_by: String,
    /// What it may read beside what all pods may.
    pub allowed: Vec<Allowed>,
    /// What is wrong with the annotations of its namespace, or not known about them.
    pub wrong: Vec<String>,
}

/// Paths that somebody allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// The entries.
    pub paths: String,
    /// Who says so.
    pub by: String,
}

/// The flag that says whether tokens are needed.
const BY_TOKENS_FLAG: &str = "--imds-tokens";
/// The flag that allows paths.
const BY_PATHS_FLAG: &str = "--allow-path";

impl Metadata {
    pub(super) fn new(subject: &Subject, policy: &Policy) -> Self {
        let said = subject.namespace.as_ref().map(|namespace| namespace.said());
        let of_namespace = |key| format!("namespace, {key}");
        let (tokens, tokens_by) = match said.and_then(|said| said.tokens) {
            Some(tokens) => (tokens, of_namespace(IMDS_TOKENS)),
            None => (policy.tokens, BY_TOKENS_FLAG.to_owned()),
        };
        let by_namespace = said.map(|said| (&said.allow, of_namespace(ALLOW_PATHS)));
        let allowed = [(&policy.allow, BY_PATHS_FLAG.to_owned())]
            .into_iter()
            .chain(by_namespace);
        Self {
            tokens: word(tokens).to_owned(),
            tokens_by,
            allowed: allowed
                .filter(|(allow, _)| !allow.is_empty())
                .map(|(allow, by)| Allowed {
                    paths: allow.to_string(),
                    by,
                })
                .collect(),
            wrong: match said {
                Some(said) => said.wrong.clone(),
                None => vec![Missing::Namespace.to_string()],
            },
        }
    }

    /// For people.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let tokens = format!("{}, by {}", self.tokens, self.tokens_by);
        let allowed = self.allowed.iter();
        let allowed = allowed.map(|allowed| format!("{}, by {}", allowed.paths, allowed.by));
        [("tokens", tokens)]
            .into_iter()
            .chain(allowed.map(|text| ("more paths", text)))
            .chain(self.wrong.iter().map(|text| ("wrong", text.clone())))
    }
}

const fn word(tokens: TokenUse) -> &'static str {
    match tokens {
        TokenUse::Optional => "optional",
        TokenUse::Required => "required",
    }
}
