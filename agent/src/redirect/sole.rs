//! Being the only agent of a node: none serves, of whatever version, and none starts as long as this is held.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Lock, pins};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Sole {
    _locks: Vec<Lock>,
}

/// Why we are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// An agent starts, or another uninstall is at work.
    Starting,
    /// An agent serves.
    Serving,
}

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum SoleError {
    /// A lock cannot be taken.
    #[error("cannot lock {}", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// The versions cannot be listed.
    #[error(transparent)]
    Pins(#[from] pins::Error),
}

impl Sole {
    /// Tries to be the only one of those that pin below `root`.
    pub fn try_be(root: &Path) -> Result<Result<Self, Busy>, SoleError> {
        let lock = |dir: &Path| match Lock::try_take(dir) {
            // Another one removes it at this moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            lock => lock.map_err(|source| SoleError::Lock(dir.to_owned(), source)),
        };
        let Some(starting) = lock(root)? else {
            return Ok(Err(Busy::Starting));
        };
        let mut locks = vec![starting];
        for version in pins::versions(root)? {
            match lock(&root.join(version.to_string()))? {
                Some(serving) => locks.push(serving),
                None => return Ok(Err(Busy::Serving)),
            }
        }
        Ok(Ok(Self { _locks: locks }))
    }
}
