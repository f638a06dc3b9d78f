//! From a cgroup's id to the pod and container that it belongs to.
//!
//! The kernel itself leads from the id to the path; the path is then read from the root of the pods downwards.
//! Only the first component that can be a pod counts: what a pod creates below itself bears any name it likes.
//! A cgroup that is no pod's is never a guess.

mod find;
mod handle;
mod own;
mod path;

use std::{
    collections::HashMap,
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use crate::id::{CgroupId, ContainerId, PodUid};

pub use find::{Error as FindError, find_kubepods, open_root};
pub use own::Own;

/// Whose cgroup it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The pod.
    pub pod: PodUid,
    /// The container in it, if the cgroup is one's or below one's.
    pub container: Option<ContainerId>,
}

/// Why a cgroup has no owner.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not exist any more.
    #[error("cgroup {0} does not exist any more")]
    Gone(CgroupId),
    /// It is not in a pod.
    #[error("cgroup {} is no pod's", .0.display())]
    NotAPod(PathBuf),
    /// The kernel did not answer.
    #[error("cannot find the path of cgroup {id}")]
    Resolve {
        /// The cgroup.
        id: CgroupId,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// How many cgroups are remembered. A node has some hundred containers; ids are never used twice.
const MAX_KNOWN: usize = 16_384;

/// The pods' cgroups on this node.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    root_path: PathBuf,
    kubepods: PathBuf,
    known: RwLock<HashMap<CgroupId, Owner>>,
}

impl Tree {
    /// The tree below `kubepods`, an absolute path on the cgroup2 mount `root_path`, which is open as `root`.
    pub fn new(root: OwnedFd, root_path: PathBuf, kubepods: PathBuf) -> Self {
        Self {
            root,
            root_path,
            kubepods,
            known: RwLock::default(),
        }
    }

    /// The root of the pods.
    pub fn kubepods(&self) -> &Path {
        &self.kubepods
    }

    /// Whether the cgroup with this id is the root of the pods or below it, a pod's or not.
    pub fn contains(&self, id: CgroupId) -> bool {
        let path = handle::path_of(self.root.as_fd(), id);
        path.is_ok_and(|path| path.starts_with(&self.kubepods))
    }

    /// Whether the cgroup with this id is one of `others`, or below one.
    pub fn is_within(&self, id: CgroupId, others: &[CgroupId]) -> bool {
        let path = |id| handle::path_of(self.root.as_fd(), id).ok();
        let below = |inner: &Path| {
            let mut outer = others.iter().filter_map(|other| path(*other));
            outer.any(|outer| inner.starts_with(outer))
        };
        others.contains(&id) || path(id).is_some_and(|inner| below(&inner))
    }

    /// The owner of the cgroup with this id.
    pub fn owner(&self, id: CgroupId) -> Result<Owner, Error> {
        if let Some(owner) = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            return Ok(*owner);
        }
        let path = handle::path_of(self.root.as_fd(), id).map_err(|source| {
            match source.raw_os_error() {
                Some(libc::ESTALE) => Error::Gone(id),
                _ => Error::Resolve { id, source },
            }
        })?;
        let owner = path::owner(&self.kubepods, &path);
        let owner = owner.ok_or_else(|| Error::NotAPod(self.below_root(&path)))?;
        self.remember(id, owner);
        Ok(owner)
    }

    fn remember(&self, id: CgroupId, owner: Owner) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(id, owner);
    }

    /// The path as the kernel's tools print it: without the mount point.
    fn below_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root_path)
            .map_or_else(|_| path.to_owned(), |below| Path::new("/").join(below))
    }
}

/// The pods' own cgroups below `kubepods`. The kubelet makes them before anything runs in them. Those that come or go
/// meanwhile may be missing.
pub fn pods(kubepods: &Path) -> io::Result<HashMap<PodUid, CgroupId>> {
    let mut pods = HashMap::new();
    for path in below(kubepods)? {
        // What is no pod may be the level of a quality of service.
        let of_pod = path::owner(kubepods, &path).is_some();
        let paths = if of_pod { vec![path] } else { below(&path)? };
        for path in paths {
            let owner = path::owner(kubepods, &path);
            let found = owner.and_then(|owner| Some((owner.pod, id_of(&path).ok()?)));
            pods.extend(found);
        }
    }
    Ok(pods)
}

/// What is in a cgroup that may be gone, or in a file that is none: nothing.
fn below(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// Whether the cgroup with this id, on the mount that `root` is on, does not exist any more. What cannot be told is
/// taken for a no. An id is not used twice.
pub fn is_gone(root: BorrowedFd<'_>, id: CgroupId) -> bool {
    handle::path_of(root, id).is_err_and(|error| error.raw_os_error() == Some(libc::ESTALE))
}

/// The id of the cgroup at `path`: its directory's inode number.
pub fn id_of(path: &Path) -> io::Result<CgroupId> {
    Ok(CgroupId::new(fs::metadata(path)?.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of pods of each quality of service, as the kubelet's drivers make them, and of what is no pod beside them.
    const TREES: [(&str, [&str; 4]); 2] = [
        (
            "kubepods",
            [
                "podaaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa",
                "burstable/podbbbbbbbb-bbbb-bbbb-bbbb-bbbbbbbbbbbb",
                "besteffort/podcccccccc-cccc-cccc-cccc-cccccccccccc",
                "besteffort/else",
            ],
        ),
        (
            "kubepods.slice",
            [
                "kubepods-podaaaaaaaa_aaaa_aaaa_aaaa_aaaaaaaaaaaa.slice",
                "kubepods-burstable.slice/kubepods-burstable-podbbbbbbbb_bbbb_bbbb_bbbb_bbbbbbbbbbbb.slice",
                "kubepods-besteffort.slice/kubepods-besteffort-podcccccccc_cccc_cccc_cccc_cccccccccccc.slice",
                "kubepods-besteffort.slice/else.slice",
            ],
        ),
    ];

    #[test]
    fn pods_have_cgroups_of_their_own_with_each_driver_and_quality_of_service() {
        for (root, names) in TREES {
            let dir = tempfile::tempdir().unwrap();
            let kubepods = dir.path().join(root);
            for name in names {
                fs::create_dir_all(kubepods.join(name).join("container")).unwrap();
            }
            fs::write(kubepods.join("cgroup.procs"), "").unwrap();
            let expected = names[..3].iter().zip(["a", "b", "c"]).map(|(name, digit)| {
                let uid = [8, 4, 4, 4, 12]
                    .map(|length| digit.repeat(length))
                    .join("-");
                let uid: PodUid = uid.parse().unwrap();
                (uid, id_of(&kubepods.join(name)).unwrap())
            });
            assert_eq!(pods(&kubepods).unwrap(), expected.collect(), "{root}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_no_pods() {
        let dir = tempfile::tempdir().unwrap();
        let kubepods = dir.path().join("kubepods");
        assert!(pods(&kubepods).unwrap().is_empty());
        std::os::unix::fs::symlink("kubepods", &kubepods).unwrap();
        assert!(pods(&kubepods).is_err());
    }
}
