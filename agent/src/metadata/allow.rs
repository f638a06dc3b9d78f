//! Paths that somebody allows to pods beside those that all of them may read.
//!
//! Whatever is allowed, nothing of the node's keys and secrets is: an entry that names such a path is refused, and a
//! wildcard that covers one does not mean it.

use std::fmt;

use crate::id::Excerpt;

use super::{
    Access, Glob, access,
    table::{PROOFS, TREES, is_directory, is_secret},
};

/// So many entries count, of an operator and of a namespace.
const MOST: usize = 32;

/// What is wrong with an entry that no path can match.
const NOTHING: &str = "there is nothing of the kind; paths begin with meta-data/ or dynamic/";

/// What somebody allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(Vec<Glob>);

/// An entry that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {reason}")]
pub struct InvalidAllow {
    /// The entry, shortened and quoted.
    pub entry: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Who allows something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Operator,
    Namespace,
}

impl Allow {
    /// Understands entries of the operator, each a path with or without a version before it.
    pub fn parse(entries: impl IntoIterator<Item: AsRef<str>>) -> Result<Self, InvalidAllow> {
        let globs = read(entries, By::Operator).collect::<Result<_, _>>()?;
        Ok(Self(globs))
    }

    /// Understands entries of a namespace: what can be meant, and what cannot.
    pub fn of_namespace(entries: impl IntoIterator<Item: AsRef<str>>) -> (Self, Vec<InvalidAllow>) {
        let (mut globs, mut wrong) = (Vec::new(), Vec::new());
        for entry in read(entries, By::Namespace) {
            match entry {
                Ok(glob) => globs.push(glob),
                Err(invalid) => wrong.push(invalid),
            }
        }
        (Self(globs), wrong)
    }

    /// Whether nothing is allowed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a wildcard covers a signed proof of who the node is, which nobody named.
    pub fn covers_proofs(&self) -> bool {
        let unnamed = self.0.iter();
        let mut unnamed = unnamed.filter(|glob| access(&glob.literal()) != Access::Operator);
        unnamed.any(|glob| PROOFS.iter().any(|proof| glob.matches(proof)))
    }

    fn matches(&self, path: &str) -> bool {
        self.0.iter().any(|glob| glob.matches(path))
    }

    fn reaches(&self, directory: &str) -> bool {
        self.0.iter().any(|glob| glob.reaches(directory))
    }
}

/// The entries, with commas between them.
impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, glob) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{glob}")?;
        }
        Ok(())
    }
}

impl InvalidAllow {
    fn new(entry: &str, reason: impl fmt::Display) -> Self {
        Self {
            entry: Excerpt::of(entry).to_string(),
            reason: reason.to_string(),
        }
    }
}

/// Reads each entry for itself. Those after the first one too many are not looked at.
fn read(
    entries: impl IntoIterator<Item: AsRef<str>>,
    by: By,
) -> impl Iterator<Item = Result<Glob, InvalidAllow>> {
    let entries = entries.into_iter().take(MOST + 1).enumerate();
    entries.map(move |(at, entry)| match at {
        MOST => Err(InvalidAllow::new(
            entry.as_ref(),
            format_args!("only {MOST} entries count; write wildcards"),
        )),
        _ => one(entry.as_ref(), by),
    })
}

fn one(entry: &str, by: By) -> Result<Glob, InvalidAllow> {
    let glob: Glob = entry
        .parse()
        .map_err(|invalid| InvalidAllow::new(entry, invalid))?;
    let literal = glob.literal();
    let reason = match (access(&literal), by) {
        (Access::Never, _) if is_secret(&literal) => {
            "no pod gets it, whoever allows it: leave it out, or see --node-role-for"
        }
        (Access::Never, _) => NOTHING,
        (Access::Operator, By::Namespace) => {
            "only the operator can allow a proof of who the node is, with --allow-path"
        }
        // As it is, it is listed to every pod, and would allow nothing.
        _ if is_directory(&literal) && glob.to_string() == literal => {
            "every pod may list it; write what is to be read in it, or /** behind it for all of that"
        }
        _ if !TREES.iter().any(|tree| glob.reaches(tree)) => NOTHING,
        _ => return Ok(glob),
    };
    Err(InvalidAllow::new(entry, reason))
}

/// What a pod may see: what all may, and what is allowed to it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// By the operator.
    pub operator: &'a Allow,
    /// By its namespace.
    pub namespace: &'a Allow,
}

impl View<'_> {
    /// Whether it may read what is at `path`, all of it. Where that is a directory with something in it for every pod,
    /// nobody may: it is listed.
    pub fn may_read(&self, path: &str) -> bool {
        match access(path) {
            Access::Never => false,
            Access::Operator => self.operator.matches(path),
            Access::Allowed => self.operator.matches(path) || self.namespace.matches(path),
            Access::Pods => !is_directory(path),
        }
    }

    /// Whether there is something below `directory` that it may read: then `directory` is one, and may be listed.
    pub fn may_list(&self, directory: &str) -> bool {
        match access(directory) {
            Access::Never => false,
            Access::Operator => self.operator.reaches(directory),
            Access::Allowed => {
                self.operator.reaches(directory) || self.namespace.reaches(directory)
            }
            Access::Pods => is_directory(directory),
        }
    }
}

#[cfg(test)]
mod tests;
