//! Which roles a namespace lets its pods have: kube2iam's list of allowed roles and kiam's expression of permitted
//! ones, compiled once and then held against roles.
//!
//! Whatever is missing, empty or wrong permits nothing. An entry covers the role as a whole, never a part of it, unless
//! the operator asks for that ([`Compat`]). A list entry that is no ARN is held against what follows the base ARN in
//! the role's ARN, everything else against the whole ARN; both are case-sensitive.
//!
//! Annotations are other people's. Their size is bounded, matching takes time linear in the length of the ARN, and what
//! is wrong with them is told in few words.

mod glob;
mod invalid;
mod list;
mod pattern;

use std::fmt;

use clap::ValueEnum;

use crate::id::{BaseArn, RoleArn};

use super::compat::Compat;

pub use invalid::Invalid;
pub(super) use invalid::LONGEST;

use list::List;

/// How the entries of a list of allowed roles are read (`--namespace-restriction-format`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `*` stands for any characters, `/` and `:` too. Everything else stands for itself.
    #[default]
    Glob,
    /// A regular expression. It may be anchored, and is in any case.
    Regexp,
}

/// What the operator asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How the list of allowed roles is read.
    pub format: Format,
    /// Whose way of matching expressions is taken over.
    pub compat: Compat,
    /// What is put before entries that are no ARN.
    pub base_arn: Option<BaseArn>,
}

/// One of the annotations by which a namespace permits roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Annotation {
    /// The JSON list of allowed roles (kube2iam).
    Allowed,
    /// The regular expression of permitted roles (kiam).
    Permitted,
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "the list of allowed roles",
            Self::Permitted => "the expression of permitted roles",
        })
    }
}

/// What the annotations of one namespace permit.
#[derive(Clone, Debug)]
pub struct Restriction {
    allowed: Option<List>,
    permitted: Option<List>,
}

/// What a namespace says about one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Its pods may have it: every annotation that is there says so.
    Permitted {
        /// An entry of the list of allowed roles that matches, as it was written.
        allowed: Option<&'a str>,
        /// The expression of permitted roles.
        permitted: Option<&'a str>,
    },
    /// They may not.
    Refused(Refusal),
}

/// Why pods of a namespace may not have a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The namespace has none of the annotations.
    #[error("the namespace does not say which roles its pods may have")]
    Unannotated,
    /// An annotation is there, and there is nothing in it.
    #[error("{0} is empty")]
    Empty(Annotation),
    /// Nothing in an annotation matches the role.
    #[error("{0} does not permit it")]
    Unmatched(Annotation),
    /// An annotation is wrong, so that it permits nothing.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Refusal {
    /// The annotation that refuses; of those that are missing, the one that people should write.
    pub fn annotation(&self) -> Annotation {
        match self {
            Self::Unannotated => Annotation::Allowed,
            Self::Empty(annotation) | Self::Unmatched(annotation) => *annotation,
            Self::Invalid(invalid) => invalid.annotation(),
        }
    }
}

impl Restriction {
    /// Reads the values of both annotations; `None` where one is missing.
    pub fn compile(
        allowed: Option<&str>,
        permitted: Option<&str>,
        rules: &Rules,
    ) -> Result<Self, Invalid> {
        let allowed = allowed.map(|text| List::allowed(text, rules));
        let permitted = permitted.map(|text| List::permitted(text, rules));
        Ok(Self {
            allowed: allowed.transpose()?,
            permitted: permitted.transpose()?,
        })
    }

    /// Whether pods of the namespace may have `role`, and by which entries.
    pub fn permits(&self, role: &RoleArn) -> Verdict<'_> {
        if self.allowed.is_none() && self.permitted.is_none() {
            return Verdict::Refused(Refusal::Unannotated);
        }
        let find = |annotation| find(self.list(annotation), annotation, role);
        let both = find(Annotation::Allowed).and_then(|allowed| {
            let permitted = find(Annotation::Permitted)?;
            Ok(Verdict::Permitted { allowed, permitted })
        });
        both.unwrap_or_else(Verdict::Refused)
    }

    /// Why pods of the namespace may not have `role`, if so.
    pub fn refusal(&self, role: &RoleArn) -> Option<Refusal> {
        match self.permits(role) {
            Verdict::Permitted { .. } => None,
            Verdict::Refused(refusal) => Some(refusal),
        }
    }

    /// What stands in an annotation, as it was written and in that order.
    pub fn entries(&self, annotation: Annotation) -> impl Iterator<Item = &str> {
        self.list(annotation).into_iter().flat_map(List::entries)
    }

    const fn list(&self, annotation: Annotation) -> Option<&List> {
        match annotation {
            Annotation::Allowed => self.allowed.as_ref(),
            Annotation::Permitted => self.permitted.as_ref(),
        }
    }
}

/// An entry that matches, where there is a list at all.
fn find<'a>(
    list: Option<&'a List>,
    annotation: Annotation,
    role: &RoleArn,
) -> Result<Option<&'a str>, Refusal> {
    let Some(list) = list else { return Ok(None) };
    if list.entries().next().is_none() {
        return Err(Refusal::Empty(annotation));
    }
    let entry = list.find(role).ok_or(Refusal::Unmatched(annotation))?;
    Ok(Some(entry))
}

#[cfg(test)]
mod tests;
