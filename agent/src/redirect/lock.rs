//! Which of several agents on a node may start, and which one serves: locks on the directories of the pins.
//!
//! A lock ends with the process that holds it, however that ends, and leaves nothing behind.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, fstat, open},
    io::Errno,
};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
    dir: PathBuf,
}

impl Lock {
    /// Takes the lock on `dir`; `None` while another process holds it.
    pub fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        Self::attempt(dir, FlockOperation::NonBlockingLockExclusive)
    }

    /// The same, with others who share it; `None` while somebody holds it alone.
    pub fn try_share(dir: &Path) -> io::Result<Option<Self>> {
        Self::attempt(dir, FlockOperation::NonBlockingLockShared)
    }

    fn attempt(dir: &Path, operation: FlockOperation) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(dir, flags, Mode::empty())?;
        match flock(&fd, operation) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        let (dir, lock) = (
            dir.to_owned(),
            Self {
                fd,
                dir: dir.to_owned(),
            },
        );
        // It may have been removed, and made anew, while we waited: then others lock another directory.
        fs::metadata(&dir)?;
        Ok(lock.is_current().then_some(lock))
    }

    /// What is locked.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether others try to lock the same: the directory is not gone, nor another one.
    pub fn is_current(&self) -> bool {
        let (locked, now) = (fstat(&self.fd), fs::metadata(&self.dir));
        matches!((locked, now), (Ok(locked), Ok(now)) if (locked.st_dev, locked.st_ino) == (now.dev(), now.ino()))
    }
}
