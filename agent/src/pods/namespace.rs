//! A namespace: which role its pods have by default, and which they may have.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::{
    id::RoleArn,
    metadata::{Said, TokenUse},
};

use super::{
    Few,
    annotation::{ALLOW_PATHS, IMDS_TOKENS, Keys, LONGEST_PATHS, LONGEST_TOKENS, PERMITTED},
    restriction::{Invalid, Refusal, Restriction, Rules},
};

/// So many judgements are remembered. A namespace has far fewer roles; whoever makes up more pays for himself.
const REMEMBERED: usize = 256;

/// A namespace. One that does not exist (any more) says as much as one without annotations.
#[derive(Debug, Default)]
pub struct Namespace {
    annotations: Few,
    /// Compiled when the first pod asks: most namespaces of a cluster have no pod on this node.
    restriction: OnceLock<Result<Restriction, Invalid>>,
    /// What was judged already: an expression may be slow, and is asked again for each request.
    judged: Mutex<HashMap<RoleArn, Option<Refusal>>>,
    /// Compiled as late.
    said: OnceLock<Said>,
}

impl Namespace {
    /// A namespace with these annotations.
    pub fn new(annotations: impl Into<Few>) -> Self {
        Self {
            annotations: annotations.into(),
            ..Self::default()
        }
    }

    /// Its annotations, as far as one of our parts reads them.
    pub const fn annotations(&self) -> &Few {
        &self.annotations
    }

    /// What it says of the metadata service that its pods see.
    pub fn said(&self) -> &Said {
        self.said.get_or_init(|| {
            let tokens = self.whole(IMDS_TOKENS, LONGEST_TOKENS);
            let paths = self.whole(ALLOW_PATHS, LONGEST_PATHS);
            let mut said = Said::parse(tokens.unwrap_or_default(), paths.unwrap_or_default());
            if tokens.is_err() {
                said.tokens = Some(TokenUse::Required);
            }
            let cut = tokens.err().into_iter().chain(paths.err());
            said.wrong.extend(cut.map(|cut| cut.to_string()));
            said
        })
    }

    /// What stands under `key`. Its beginning alone might mean something else.
    fn whole(&self, key: &'static str, longest: usize) -> Result<Option<&str>, Cut> {
        match self.annotations.get(key) {
            Some(text) if text.len() > longest => Err(Cut { key, longest }),
            said => Ok(said.map(String::as_str)),
        }
    }

    /// Which roles its pods may have. `rules` and `keys` are the same for the whole life of the process: only the
    /// first are looked at.
    pub fn restriction(&self, rules: &Rules, keys: &Keys) -> Result<&Restriction, &Invalid> {
        let said = |key: &str| self.annotations.get(key).map(String::as_str);
        let compile = || Restriction::compile(said(&keys.allowed_roles), said(PERMITTED), rules);
        self.restriction.get_or_init(compile).as_ref()
    }

    /// Why its pods may not have `role`, if so.
    pub fn refusal(&self, role: &RoleArn, rules: &Rules, keys: &Keys) -> Option<Refusal> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = judged.get(role) {
            return known.clone();
        }
        let refusal = match self.restriction(rules, keys) {
            Ok(restriction) => restriction.refusal(role),
            Err(invalid) => Some(invalid.clone().into()),
        };
        if judged.len() >= REMEMBERED {
            judged.clear();
        }
        judged.insert(role.clone(), refusal.clone());
        drop(judged);
        refusal
    }
}

/// An annotation was longer than it may be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{key}: it is longer than {longest} bytes, and nothing of it counts")]
struct Cut {
    key: &'static str,
    longest: usize,
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.annotations == other.annotations
    }
}

impl Eq for Namespace {}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(annotations: &[(&str, &str)]) -> Namespace {
        let all = annotations.iter();
        let all = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Namespace::new(all.collect::<Few>())
    }

    #[test]
    fn what_it_says_of_the_metadata_service_is_understood_once() {
        let namespace = said(&[(IMDS_TOKENS, "required"), (ALLOW_PATHS, "meta-data/mac")]);
        let first = namespace.said();
        assert_eq!(first.tokens, Some(TokenUse::Required));
        assert_eq!(first.allow.to_string(), "meta-data/mac");
        assert!(std::ptr::eq(first, namespace.said()));
        assert_eq!(*Namespace::default().said(), Said::default());
    }

    #[test]
    fn the_beginning_of_what_was_cut_means_nothing() {
        let blanks = " ".repeat(LONGEST_TOKENS + 1 - "optional".len());
        let namespace = said(&[(IMDS_TOKENS, &format!("optional{blanks}"))]);
        assert_eq!(
            namespace.said().tokens,
            Some(TokenUse::Required),
            "the stricter"
        );
        let paths = "meta-data/mac ".repeat(LONGEST_PATHS / 14 + 1);
        let cut = paths.get(..=LONGEST_PATHS).unwrap();
        let long = said(&[(ALLOW_PATHS, cut), (IMDS_TOKENS, "optional")]);
        assert!(long.said().allow.is_empty());
        assert_eq!(long.said().tokens, Some(TokenUse::Optional));
        for (namespace, told) in [
            (
                namespace,
                "bpf2iam.io/imds-tokens: it is longer than 32 bytes, and nothing of it counts",
            ),
            (
                long,
                "bpf2iam.io/allow-paths: it is longer than 4096 bytes, and nothing of it counts",
            ),
        ] {
            assert_eq!(namespace.said().wrong, [told]);
        }
    }
}
