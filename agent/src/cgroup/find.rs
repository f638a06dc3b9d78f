//! Where things are in the cgroup tree: its mount, and the root of the pods.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

/// `CGROUP2_SUPER_MAGIC` of `include/uapi/linux/magic.h`.
const CGROUP2: i64 = 0x6367_7270;
/// `SYSFS_MAGIC` of the same: what is there when nothing is mounted at the usual place.
const SYSFS: i64 = 0x6265_6572;

/// How deep below the mount the root of the pods is looked for: kind and k3s put up to two levels above it.
const DEPTH: usize = 4;

/// Why the tree cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mount cannot be opened.
    #[error("cannot open the cgroup mount {}", .path.display())]
    Open {
        /// The path that was given.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Nothing is there.
    #[error(
        "no cgroups are mounted at {} (--cgroup-root); in a pod, mount the node's /sys/fs/cgroup there: a hostPath volume",
        .0.display()
    )]
    NotMounted(PathBuf),
    /// It is no cgroup2 mount.
    #[error(
        "{} is not a cgroup v2 mount; give the node's cgroup2 mount as --cgroup-root (often /sys/fs/cgroup, or \
         /sys/fs/cgroup/unified where version 1 is mounted too). Nodes without cgroup v2 are not supported",
        .0.display()
    )]
    NotCgroup2(PathBuf),
    /// It is what a container runtime shows of a container to itself.
    #[error(
        "{} shows this container's own cgroup only (--cgroup-root); mount the node's /sys/fs/cgroup there: a hostPath \
         volume",
        .0.display()
    )]
    OwnContainer(PathBuf),
    /// The root of the pods could be several.
    #[error("{} and {} could both be the pods' cgroup; say which with --kubepods", .0.display(), .1.display())]
    Ambiguous(PathBuf, PathBuf),
    /// A part of the tree cannot be read.
    #[error("cannot read cgroup {}", .path.display())]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Opens the host's cgroup2 mount. Says its path without links, as the kernel will print it.
pub fn open_root(path: &Path) -> Result<(OwnedFd, PathBuf), Error> {
    let failed = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            Error::NotMounted(path)
        } else {
            Error::Open { path, source }
        }
    };
    let real = path.canonicalize().map_err(failed)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::open(&real, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
    let kind = rustix::fs::fstatfs(&root)
        .map_err(|error| failed(error.into()))?
        .f_type;
    match kind {
        CGROUP2 => Ok((root, real)),
        SYSFS => Err(Error::NotMounted(path.to_owned())),
        _ => Err(Error::NotCgroup2(path.to_owned())),
    }
}

/// The root of the pods below `root`: `given` (relative to it, a leading slash is fine), else the one cgroup with
/// the kubelet's name nearest to the root. `None` when it does not exist (yet).
///
/// Only cgroups of the root's owner are looked into: a user to whom a part of the tree is delegated may make
/// cgroups of any name there, and would be taken for pods.
pub fn find_kubepods(root: &Path, given: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    match look_for_kubepods(root, given)? {
        // There will never be one.
        None if is_own_container(root) => Err(Error::OwnContainer(root.to_owned())),
        found => Ok(found),
    }
}

fn look_for_kubepods(root: &Path, given: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    if let Some(given) = given {
        let path = root.join(given.strip_prefix("/").unwrap_or(given));
        return Ok(path.is_dir().then_some(path));
    }
    let read = |source| Error::Read {
        path: root.to_owned(),
        source,
    };
    let owner = fs::metadata(root).map_err(read)?.uid();
    let mut level = vec![root.to_owned()];
    for _ in 0..DEPTH {
        let below = children(&level, owner)?;
        let mut roots = below.iter().filter(|path| is_kubepods(path.file_name()));
        match (roots.next(), roots.next()) {
            (Some(one), Some(other)) => return Err(Error::Ambiguous(one.clone(), other.clone())),
            (Some(one), None) => return Ok(Some(one.clone())),
            (None, _) => level = below,
        }
    }
    Ok(None)
}

/// Whether `root` is not that of all cgroups (which alone has no `cgroup.events`), and this process is right in it. On a node
/// that is itself a container, as with kind, pods are further down.
fn is_own_container(root: &Path) -> bool {
    let procs = fs::read_to_string(root.join("cgroup.procs")).unwrap_or_default();
    let own = std::process::id().to_string();
    root.join("cgroup.events").exists() && procs.lines().any(|pid| pid == own)
}

/// `kubepods` (cgroupfs driver), `kubepods.slice` (systemd), `kubelet-kubepods.slice` (systemd below a root).
fn is_kubepods(name: Option<&OsStr>) -> bool {
    let Some(name) = name.and_then(OsStr::to_str) else {
        return false;
    };
    name == "kubepods" || name == "kubepods.slice" || name.ends_with("-kubepods.slice")
}

fn children(level: &[PathBuf], owner: u32) -> Result<Vec<PathBuf>, Error> {
    let mut below = Vec::new();
    for path in level {
        match fs::read_dir(path) {
            Ok(entries) => below.extend(directories(entries, owner)),
            // Cgroups come and go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Read {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    below.sort();
    Ok(below)
}

fn directories(entries: fs::ReadDir, owner: u32) -> impl Iterator<Item = PathBuf> {
    let is_ours = move |found: fs::Metadata| found.is_dir() && found.uid() == owner;
    entries
        .flatten()
        .filter(move |entry| entry.metadata().is_ok_and(is_ours))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for path in paths {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        root
    }

    fn found(paths: &[&str], given: Option<&str>) -> Result<Option<PathBuf>, Error> {
        let root = tree(paths);
        let found = find_kubepods(root.path(), given.map(Path::new))?;
        Ok(found.map(|path| path.strip_prefix(root.path()).unwrap().to_owned()))
    }

    #[test]
    fn the_root_of_the_pods_is_found_by_its_name() {
        for (paths, expected) in [
            (
                &["system.slice", "kubepods.slice/kubepods-burstable.slice"][..],
                Some("kubepods.slice"),
            ),
            (&["kubepods/burstable", "init"], Some("kubepods")),
            (
                &["kubelet.slice/kubelet-kubepods.slice"],
                Some("kubelet.slice/kubelet-kubepods.slice"),
            ),
            (&["a/b/kubepods", "kubepods"], Some("kubepods")),
            (
                &["system.slice/kubepods.service", "kubepods2", "my-kubepods"],
                None,
            ),
            (&["a/b/c/d/kubepods"], None),
            (&[], None),
        ] {
            let expected = expected.map(PathBuf::from);
            assert_eq!(found(paths, None).unwrap(), expected, "{paths:?}");
        }
    }

    #[test]
    fn what_another_user_made_is_not_looked_into() {
        let root = tree(&["user.slice/kubepods", "kubepods"]);
        if std::os::unix::fs::chown(root.path().join("user.slice"), Some(65_534), None).is_err() {
            // Without privileges there is no other user to be.
            assert!(std::env::var("CI").is_err(), "in CI no test is skipped");
            let skipped = "SKIPPED: what_another_user_made_is_not_looked_into needs root\n";
            io::Write::write_all(&mut io::stderr(), skipped.as_bytes()).unwrap();
            return;
        }
        fs::remove_dir(root.path().join("kubepods")).unwrap();
        assert_eq!(find_kubepods(root.path(), None).unwrap(), None);
        std::os::unix::fs::chown(root.path().join("user.slice"), Some(0), None).unwrap();
        let found = find_kubepods(root.path(), None).unwrap();
        assert_eq!(found, Some(root.path().join("user.slice/kubepods")));
    }

    #[test]
    fn two_of_a_level_are_not_chosen_between() {
        let error = found(&["kubepods", "kubepods.slice"], None).unwrap_err();
        assert!(
            error.to_string().ends_with("say which with --kubepods"),
            "{error}"
        );
    }

    #[test]
    fn a_given_root_is_taken_or_waited_for() {
        let paths = &["kubepods", "other/pods"];
        assert_eq!(
            found(paths, Some("other/pods")).unwrap(),
            Some("other/pods".into())
        );
        assert_eq!(
            found(paths, Some("/other/pods")).unwrap(),
            Some("other/pods".into())
        );
        assert_eq!(found(paths, Some("later")).unwrap(), None);
    }

    #[test]
    fn what_is_no_cgroup_mount_is_refused() {
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(matches!(
            open_root(elsewhere.path()),
            Err(Error::NotCgroup2(_))
        ));
        for nothing in [&elsewhere.path().join("none"), Path::new("/sys")] {
            let error = open_root(nothing).unwrap_err();
            assert!(matches!(error, Error::NotMounted(_)), "{error}");
        }
        let file = elsewhere.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(open_root(&file), Err(Error::Open { .. })));
    }

    #[test]
    fn a_containers_own_cgroup_is_not_searched_for_ever() {
        let own = format!("1\n{}\n", std::process::id());
        for (paths, files, refused) in [
            (
                &[][..],
                &[("cgroup.events", ""), ("cgroup.procs", &*own)][..],
                true,
            ),
            (
                &["kubepods"],
                &[("cgroup.events", ""), ("cgroup.procs", &own)],
                false,
            ),
            (&[], &[("cgroup.procs", &own)], false),
            (&[], &[("cgroup.events", ""), ("cgroup.procs", "")], false),
        ] {
            let root = tree(paths);
            for (name, text) in files {
                fs::write(root.path().join(name), text).unwrap();
            }
            let found = find_kubepods(root.path(), None);
            let own = matches!(found, Err(Error::OwnContainer(_)));
            assert_eq!(own, refused, "{paths:?} {files:?}: {found:?}");
        }
    }
}
