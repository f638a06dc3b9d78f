//! What any version of us has pinned, and its end. Who lists and who removes walk the same way.
//!
//! Nothing is touched but what is on a bpf file system, below where that is mounted, in directories that are called by the
//! number of a version. No link is followed, and nothing that is mounted further down is entered.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::redirect::{attach, hooks};

use super::{Error, is_on_bpf_fs, names, on_bpf_fs};

/// Something that an agent has left: a pin, or a directory that is empty when all before it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    path: PathBuf,
    is_dir: bool,
}

impl Left {
    fn dir(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            is_dir: true,
        }
    }

    fn pin(path: PathBuf) -> Self {
        let is_dir = false;
        Self { path, is_dir }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes it away.
    pub fn remove(&self) -> Result<(), Error> {
        let removed = if self.is_dir {
            fs::remove_dir(&self.path)
        } else {
            // What fails here is done by the next line, a little later.
            let _failed = attach::detach(&self.path).err();
            fs::remove_file(&self.path)
        };
        gone(removed).map_err(|source| failed("remove", &self.path, source))
    }
}

/// Everything that any version of us has left at `root`, in the order in which it can be removed. Links go first, in the
/// reverse order of attaching. Nothing where `root` is not there; an error where nothing of
/// ours can be.
pub fn list(root: &Path) -> Result<Vec<Left>, Error> {
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Ok(found) if !found.is_dir() => return Err(Error::NoDirectory(root.to_owned())),
        found => found.map_err(|source| failed("look at", root, source))?,
    };
    on_bpf_fs(root)?;
    let (mut all, versions) = (Vec::new(), versions(root)?);
    for version in &versions {
        all.extend(of_version(&root.join(version.to_string()))?);
    }
    // A directory in which there are others' things only is not ours.
    if !versions.is_empty() || names(root)?.is_empty() {
        all.push(Left::dir(root));
    }
    Ok(all)
}

/// Takes away everything that any version of us has pinned below `root`, and the directories: after that nothing of us is
/// left there.
pub fn remove(root: &Path) -> Result<(), Error> {
    list(root)?.iter().try_for_each(Left::remove)
}

/// Takes away what the version in `dir` has pinned, and whatever else is there: a newer one may keep more than we do.
pub fn remove_version(dir: &Path) -> Result<(), Error> {
    is_on_bpf_fs(dir)?;
    of_version(dir)?.iter().try_for_each(Left::remove)
}

/// The versions that have pinned something below `root`.
pub fn versions(root: &Path) -> Result<Vec<u32>, Error> {
    let names = names(root)?.into_iter();
    let is_dir = |name: &OsString| {
        let found = fs::symlink_metadata(root.join(name));
        found.is_ok_and(|found| found.is_dir())
    };
    let mut versions: Vec<u32> = names
        .filter(is_dir)
        .filter_map(|name| version(&name))
        .collect();
    versions.sort_unstable();
    Ok(versions)
}

/// The version that keeps its pins in a directory of this name, if any does.
fn version(name: &OsStr) -> Option<u32> {
    let version: u32 = name.to_str()?.parse().ok()?;
    (*name == *version.to_string()).then_some(version)
}

/// What is in the directory of one version, and that itself. Nothing where it is gone.
fn of_version(dir: &Path) -> Result<Vec<Left>, Error> {
    let device = match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        found => found
            .map_err(|source| failed("look at", dir, source))?
            .dev(),
    };
    let mut all = Vec::new();
    walk(dir, device, &mut all)?;
    Ok(all)
}

/// What is in `dir`, each before the directory that it is in.
fn walk(dir: &Path, device: u64, all: &mut Vec<Left>) -> Result<(), Error> {
    let mut names = names(dir)?;
    names.sort_unstable_by(|one, other| order(one).cmp(&order(other)));
    for name in names {
        let path = dir.join(name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", &path, error)),
            Ok(found) if found.is_dir() && found.dev() == device => walk(&path, device, all)?,
            // A directory of another file system cannot be removed, and that is said.
            Ok(found) if found.is_dir() => all.push(Left::dir(&path)),
            Ok(_) => all.push(Left::pin(path)),
        }
    }
    all.push(Left::dir(dir));
    Ok(())
}

/// Links before what is elsewhere, and that before maps.
fn order(name: &OsStr) -> (u8, usize, &OsStr) {
    let rank = match name.to_str() {
        Some("links") => 0,
        Some("maps") => 2,
        Some(_) | None => 1,
    };
    (rank, hooks::order(name), name)
}

/// It is well if somebody else was faster.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::Directory { what, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As somebody keeps data by the year, on a file system that is no bpf one.
    fn by_the_year() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("2024").join("maps");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("picture"), "of a cat").unwrap();
        root
    }

    #[test]
    fn what_is_on_no_bpf_file_system_is_neither_listed_nor_removed() {
        let root = by_the_year();
        for refused in [
            list(root.path()).map(drop),
            remove(root.path()),
            remove_version(&root.path().join("2024")),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::NotBpfFs(_)), "{error}");
        }
        assert!(root.path().join("2024/maps/picture").exists());
    }

    #[test]
    fn what_is_not_there_is_nothing_and_what_is_no_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(list(&root.path().join("none")).unwrap(), []);
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/sys/fs/bpf", &link).unwrap();
        let error = list(&link).unwrap_err();
        assert!(matches!(error, Error::NoDirectory(_)), "{error}");
    }

    #[test]
    fn a_version_is_a_number_as_we_write_it() {
        let root = tempfile::tempdir().unwrap();
        for name in ["1", "12", "007", "+3", "-1", "4294967296", "maps"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("5"), "").unwrap();
        assert_eq!(versions(root.path()).unwrap(), [1, 12]);
    }

    #[test]
    fn links_go_first_and_directories_after_what_is_in_them() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("7");
        for (at, name) in [
            ("maps", "IMDS_CONNS"),
            ("links", "imds_sockops"),
            ("links", "imds_egress"),
            ("links", "new"),
            ("extra/deep", "thing"),
        ] {
            fs::create_dir_all(dir.join(at)).unwrap();
            fs::write(dir.join(at).join(name), "").unwrap();
        }
        // Nothing behind it is seen.
        std::os::unix::fs::symlink("/proc", dir.join("maps/proc")).unwrap();
        let all = of_version(&dir).unwrap();
        let paths = all.iter().map(|left| left.path.strip_prefix(&dir).unwrap());
        let expected = [
            "links/new",
            "links/imds_egress",
            "links/imds_sockops",
            "links",
            "extra/deep/thing",
            "extra/deep",
            "extra",
            "maps/IMDS_CONNS",
            "maps/proc",
            "maps",
            "",
        ];
        assert!(paths.eq(expected.map(Path::new)), "{all:?}");
        all.iter().try_for_each(Left::remove).unwrap();
        assert!(!dir.exists() && Path::new("/proc/self").exists());
    }
}
