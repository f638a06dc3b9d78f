//! A bpf file system of the stage's own. When it is unmounted, everything that was pinned there is gone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount as mount_at, unmount as unmount_at},
};

/// Where it is, below the stage's `scratch`.
pub(crate) fn mount_point(scratch: &Path) -> PathBuf {
    scratch.join("bpf")
}

/// Mounts it.
pub(super) fn mount(scratch: &Path) -> Result<()> {
    let target = mount_point(scratch);
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_at("bpf", &target, "bpf", flags, c"mode=0700")
        .with_context(|| format!("mount a bpf file system at {}", target.display()))
}

/// Unmounts it, if it is there.
pub(crate) fn unmount(scratch: &Path) -> io::Result<()> {
    match unmount_at(mount_point(scratch), UnmountFlags::DETACH) {
        // Nothing there, or nothing mounted there.
        Err(Errno::NOENT | Errno::INVAL | Errno::NOTDIR) => Ok(()),
        unmounted => Ok(unmounted?),
    }
}
