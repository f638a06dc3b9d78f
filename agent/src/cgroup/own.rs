//! Where this process is in the cgroup tree.
//!
//! In a cgroup namespace of our own, as every container has one that is not privileged, `/proc` does not say that. Then it is the
//! cgroup that lists this process: the kernel lists processes by the numbers that the reader knows them by, and none that it
//! cannot see.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::id::{CgroupId, PodUid};

use super::path;

/// The cgroup that we are in.
#[derive(Debug)]
pub struct Own {
    id: CgroupId,
    path: PathBuf,
    namespace: Namespace,
}

/// The cgroup namespace that we are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namespace {
    /// The node's.
    Node,
    /// One that begins with our own cgroup.
    Own,
}

impl Own {
    /// Ours, if it is below the mount `root`.
    pub fn find(root: &Path) -> Option<Self> {
        let seen = told(root).map(|path| (path, Namespace::Node));
        let listed = || listing(root, std::process::id()).map(|path| (path, Namespace::Own));
        let (path, namespace) = seen.or_else(listed)?;
        let id = super::id_of(&path).ok()?;
        Some(Self {
            id,
            path,
            namespace,
        })
    }

    /// Its id.
    pub const fn id(&self) -> CgroupId {
        self.id
    }

    /// The pod below `kubepods` that it is in.
    pub fn pod(&self, kubepods: &Path) -> Option<PodUid> {
        path::owner(kubepods, &self.path).map(|owner| owner.pod)
    }

    /// Where it is, if a cgroup namespace of our own begins with it.
    pub fn confined(&self) -> Option<&Path> {
        (self.namespace == Namespace::Own).then_some(&self.path)
    }
}

/// Where `/proc` says that we are.
fn told(root: &Path) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty() && !path.starts_with("..")).then(|| root.join(path))
}

/// The cgroup at `dir` or below that lists this process.
fn listing(dir: &Path, pid: u32) -> Option<PathBuf> {
    // A cgroup whose threads are spread over others cannot be read so, and has none of ours.
    let processes = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    if processes.lines().any(|line| line.parse() == Ok(pid)) {
        return Some(dir.to_owned());
    }
    let entries = fs::read_dir(dir).ok()?.flatten();
    let mut below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    below.find_map(|entry| listing(&entry.path(), pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_in_the_cgroup_that_lists_it() {
        let root = tempfile::tempdir().unwrap();
        for (path, processes) in [
            ("system.slice/a.service", "1\n2\n"),
            ("kubepods/pod1/c1", "0\n0\n123\n"),
            ("kubepods/pod1/c2", "0\n12\n"),
        ] {
            let dir = root.path().join(path);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("cgroup.procs"), processes).unwrap();
        }
        let found = |pid| listing(root.path(), pid);
        assert_eq!(found(12), Some(root.path().join("kubepods/pod1/c2")));
        assert_eq!(found(123), Some(root.path().join("kubepods/pod1/c1")));
        assert_eq!(found(3), None);
    }
}
