//! Cgroups of version 2 that are made for a node and go with it.

mod kubelet;

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use rustix::io::Errno;

pub use kubelet::{Driver, Qos};

/// How long killed processes may take to leave a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where cgroups of version 2 are mounted: /sys/fs/cgroup, or a directory below it on a machine that
/// has version 1 as well.
pub fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    mount_point_in(&mounts).context("no cgroup2 file system is mounted")
}

fn mount_point_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|mount| {
        let mut fields = mount.split(' ');
        let (_source, target, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(target))
    })
}

/// The cgroup that this process is in.
pub fn of_this_process() -> Result<PathBuf> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").context("/proc/self/cgroup")?;
    let path = cgroups.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.context("this process is in no cgroup of version 2")?;
    Ok(mount_point()?.join(path))
}

/// Makes a cgroup, and those above it that are not there yet.
pub(crate) fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make the cgroup {}", path.display()))
}

/// Kills whatever runs in a cgroup of ours or below it, and removes it. One that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    // A process that forks meanwhile does not escape: the kernel kills all at once (5.14).
    match fs::write(path.join("cgroup.kill"), "1") {
        Err(error) if is_gone(&error) => return Ok(()),
        result => result.with_context(|| format!("cannot empty {}", path.display()))?,
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match remove_tree(path) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(2));
            }
            result => return result.with_context(|| format!("rmdir {}", path.display())),
        }
    }
}

fn remove_tree(path: &Path) -> io::Result<()> {
    let removed = remove_children(path).and_then(|()| fs::remove_dir(path));
    match removed {
        Err(error) if is_gone(&error) => Ok(()),
        result => result,
    }
}

fn remove_children(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// A file of a cgroup that was removed in between says ENODEV.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOENT | Errno::NODEV)
    )
}

fn is_busy(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_on_both_kinds_of_machine() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
                      cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";
        let pure = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";
        assert_eq!(
            mount_point_in(hybrid),
            Some("/sys/fs/cgroup/unified".into())
        );
        assert_eq!(mount_point_in(pure), Some("/sys/fs/cgroup".into()));
        assert_eq!(mount_point_in("cgroup /sys/fs/cgroup/cpu cgroup rw"), None);
    }
}
