//! Which of several agents on a node may start, and which one serves: locks on the directories of the pins.
//!
//! A lock ends with the process that holds it, however that ends, and leaves nothing behind.

use std::{
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock, fstat, open},
    io::Errno,
};

/// Held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _dir: OwnedFd,
}

impl Lock {
    /// Takes the lock on `dir`; `None` while another process holds it.
    pub fn try_take(dir: &Path) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = open(dir, flags, Mode::empty())?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        // It may have been removed, and made anew, while we waited: then others lock another directory.
        let (locked, now) = (fstat(&fd)?, std::fs::metadata(dir)?);
        Ok((locked.st_ino == now.ino()).then_some(Self { _dir: fd }))
    }
}
