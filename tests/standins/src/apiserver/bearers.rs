//! Who is let in: whoever carries one of the tokens that are good at this moment.

use std::{collections::BTreeSet, fmt};

use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Serialize;

use crate::shared::Shared;

/// What came in the `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bearer {
    /// Nothing.
    Absent,
    /// Something, and anything is good.
    Unchecked,
    /// A token that is good.
    Good,
    /// Anything else.
    Wrong,
}

/// The tokens that are good. Without any set, everybody is let in.
pub struct Bearers(Shared<Option<BTreeSet<String>>>);

impl Bearers {
    pub(super) fn new(tokens: Option<BTreeSet<String>>) -> Self {
        Self(Shared::new(tokens))
    }

    /// From now on only these are good, whatever was good before.
    pub fn require<T: Into<String>>(&self, tokens: impl IntoIterator<Item = T>) {
        let tokens = tokens.into_iter().map(Into::into).collect();
        self.0.with(|good| *good = Some(tokens));
    }

    /// From now on everybody is let in.
    pub fn waive(&self) {
        self.0.with(|good| *good = None);
    }

    /// How many are good; `None` if everybody is let in.
    pub fn count(&self) -> Option<usize> {
        self.0.with(|good| good.as_ref().map(BTreeSet::len))
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Bearer {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Bearer::Absent;
        };
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.strip_prefix("Bearer "));
        self.0.with(|good| match (good, token) {
            (None, _) => Bearer::Unchecked,
            (Some(good), Some(token)) if good.contains(token) => Bearer::Good,
            (Some(_), _) => Bearer::Wrong,
        })
    }

    /// Whether whoever sent `bearer` is let in.
    pub(super) fn admit(&self, bearer: Bearer) -> bool {
        matches!(bearer, Bearer::Good) || self.count().is_none()
    }
}

impl fmt::Debug for Bearers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bearers").field(&self.count()).finish()
    }
}
