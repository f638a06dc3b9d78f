//! A namespace: which role its pods have by default, and which they may have.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::id::RoleArn;

use super::{
    Few,
    annotation::{Keys, PERMITTED},
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

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.annotations == other.annotations
    }
}

impl Eq for Namespace {}
