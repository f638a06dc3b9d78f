//! The socket's file and its directory, from their making to their removal.

use std::{
    fs::{self, DirBuilder, Metadata},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, StatxFlags, statx},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
};

use super::socket_path;

/// Nobody but us.
const PRIVATE: u32 = 0o700;

/// Makes `directory`, for its owner alone. One that is there is left as it is.
pub(super) fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE)
        .create(directory)
}

/// Takes away a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the socket's file when it is dropped, unless somebody has put another there, and then the directory.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl SocketFile {
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: Identity::of(path)?,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is there still.
    pub(super) fn is_there(&self) -> bool {
        Identity::of(&self.path).is_ok_and(|found| found == self.identity)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if !self.is_there() {
            return;
        }
        if let Err(error) = remove(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the control socket");
        }
        if let Some(directory) = self.path.parent().filter(|path| is_as_made(path)) {
            // One that is not empty stays.
            let _gone = fs::remove_dir(directory).is_ok();
        }
    }
}

/// Which file it is, whoever it belongs to and whatever its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: (u32, u32),
    inode: u64,
    /// When it was made, as inodes are used again. File systems that do not know it count them up.
    made: Option<(i64, u32)>,
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
        let told = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        Ok(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            made: told.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec)),
        })
    }
}

/// Whether a directory is as we make it. One that somebody has made for us is not ours to remove.
fn is_as_made(directory: &Path) -> bool {
    let us = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(directory)
        .is_ok_and(|found| found.is_dir() && found.uid() == us && found.mode() & 0o7777 == PRIVATE)
}

/// What an agent has left at `runtime_dir` that could not take it away any more: its socket, if nobody answers there, and
/// the directory, if there is nothing else in it.
pub fn leftovers(runtime_dir: &Path) -> Vec<PathBuf> {
    let socket = socket_path(runtime_dir);
    let is_dead = |found: Metadata| found.file_type().is_socket() && is_refused(&socket);
    let dead = fs::symlink_metadata(&socket).is_ok_and(is_dead);
    let mut left = Vec::from_iter(dead.then_some(socket));
    let others = fs::read_dir(runtime_dir).map(|all| all.count() - left.len());
    if is_as_made(runtime_dir) && others.is_ok_and(|others| others == 0) {
        left.push(runtime_dir.to_owned());
    }
    left
}

/// Takes away one of them.
pub fn remove_leftover(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir(path)
    } else {
        remove(path)
    }
}

/// Whether nobody listens there. It is not waited for: an agent that hangs has a queue, which may be full.
fn is_refused(socket: &Path) -> bool {
    let connect = || {
        let address = SocketAddrUnix::new(socket)?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let ours = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&ours, &address)
    };
    connect() == Err(Errno::CONNREFUSED)
}
