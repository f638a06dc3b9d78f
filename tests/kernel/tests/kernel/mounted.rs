//! A file system that a test mounts, and that goes with it.

use std::{ffi::CStr, fs, path::Path};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// It is unmounted on drop.
pub(crate) struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// A new file system in memory, with these options.
    pub(crate) fn tmpfs(at: &'a Path, options: &CStr) -> Self {
        fs::create_dir_all(at).unwrap();
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), options).unwrap();
        Self(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).unwrap();
    }
}
