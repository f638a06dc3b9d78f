//! Being the only agent of a node: none serves, of whatever version, none stands by, and none starts as long as this is held.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Lock, Pins, pins};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Sole {
    _locks: Vec<Lock>,
}

/// Why we are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// An agent starts, or another uninstall is at work.
    #[error("an agent is starting on this node")]
    Starting,
    /// An agent serves.
    #[error("an agent serves this node")]
    Serving,
    /// An agent stands by, and is to serve when nobody else does.
    #[error("an agent stands by on this node, and will serve it")]
    StandingBy,
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
        let Tried::Taken(starting) = try_lock(root)? else {
            return Ok(Err(Busy::Starting));
        };
        let mut locks = vec![starting];
        for dir in Pins::all(root)? {
            for (dir, busy) in [
                (dir.dir().to_owned(), Busy::Serving),
                (dir.maps(), Busy::StandingBy),
            ] {
                match try_lock(&dir)? {
                    Tried::Taken(lock) => locks.push(lock),
                    Tried::Held => return Ok(Err(busy)),
                    Tried::Nowhere => {}
                }
            }
        }
        Ok(Ok(Self { _locks: locks }))
    }
}

/// What comes of trying to take a lock.
enum Tried {
    Taken(Lock),
    /// Another one has it.
    Held,
    /// Another one removes the directory at this moment, or has not made it yet.
    Nowhere,
}

fn try_lock(dir: &Path) -> Result<Tried, SoleError> {
    match Lock::try_take(dir) {
        Ok(lock) => Ok(lock.map_or(Tried::Held, Tried::Taken)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Tried::Nowhere),
        Err(source) => Err(SoleError::Lock(dir.to_owned(), source)),
    }
}

/// That an agent stands by, which is started anew when nobody serves: until then what is pinned keeps its pods from the node's
/// role. Held until it is dropped.
#[derive(Debug, Default)]
pub struct StandingBy {
    locks: Vec<Lock>,
}

impl StandingBy {
    /// Tells whoever would be the only one, also where the pins have become another version's meanwhile.
    pub fn announce(&mut self, root: &Path) -> Result<(), SoleError> {
        self.locks.retain(Lock::is_current);
        for maps in Pins::all(root)?.map(|pins| pins.maps()) {
            if self.locks.iter().all(|lock| lock.dir() != maps) {
                match Lock::try_share(&maps) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    lock => self
                        .locks
                        .extend(lock.map_err(|source| SoleError::Lock(maps, source))?),
                }
            }
        }
        Ok(())
    }
}
