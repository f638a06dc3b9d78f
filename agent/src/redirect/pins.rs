//! Where maps and links outlive the agent: `PIN_DIR/ABI/{maps,links}/NAME`, on a bpf file system.
//!
//! What is pinned there keeps the pods' connects away from the real service while no agent runs. Only root reads it: one of
//! the maps holds the key of session tokens. What bears one of our names and is not ours is never used: it is an
//! error that names it. An uninstall takes away whatever is in our directories.

mod inventory;

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use bpf2iam_ebpf::abi;
use rustix::fs::statfs;

use super::lock::Lock;

pub use inventory::{Left, list, remove, remove_version, versions};

/// `BPF_FS_MAGIC` (`linux/magic.h`).
const BPF_FS: u64 = 0xcafe_4a11;
/// Nobody but us.
const PRIVATE: u32 = 0o700;

/// Why nothing can be kept there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Pins need a file system of their own kind.
    #[error(
        "{} is on no bpf file system (--pin-dir); on the node, `mount -t bpf bpf /sys/fs/bpf`; in a pod, mount the node's \
         /sys/fs/bpf there: a hostPath volume, with mountPropagation: HostToContainer",
        .0.display()
    )]
    NotBpfFs(PathBuf),
    /// It is the file system itself: others pin there too, and nothing of theirs may be touched.
    #[error("{} is where the bpf file system is mounted (--pin-dir); give a directory below it", .0.display())]
    Mount(PathBuf),
    /// A directory cannot be made or read.
    #[error("cannot {what} {} (--pin-dir)", .path.display())]
    Directory {
        /// What was tried.
        what: &'static str,
        /// With which directory or pin.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody else could change what is there.
    #[error(
        "{} belongs to the user {owner} (--pin-dir), who can change what is there; give it to root, or remove it",
        .path.display()
    )]
    Owner {
        /// Which directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It is something else.
    #[error("{} is no directory (--pin-dir); remove it", .0.display())]
    NoDirectory(PathBuf),
    /// It is not what we keep under that name.
    #[error(
        "{} is pinned, and is not ours: {why}; see whose it is, and remove this one pin. What else is pinned keeps pods from \
         the node's role meanwhile",
        .path.display()
    )]
    Foreign {
        /// The pin.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
}

/// The names of what is pinned, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// Of the links.
    pub links: Vec<String>,
    /// Of the maps.
    pub maps: Vec<String>,
}

/// The directory of this version's pins.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
    dir: PathBuf,
}

impl Pins {
    /// Makes `root`, an absolute path, where there is none.
    pub fn make_root(root: &Path) -> Result<(), Error> {
        on_bpf_fs(root)?;
        make_private(root)
    }

    /// The pins of this ABI below `root`, whether there are any or not.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            dir: root.join(abi::VERSION.to_string()),
        }
    }

    /// Those of whatever version in its directory `dir`, as far as it keeps them as we do.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            root: dir.parent().unwrap_or(dir).to_owned(),
            dir: dir.to_owned(),
        }
    }

    /// Those of all versions that have pinned something below `root`.
    pub fn all(root: &Path) -> Result<impl Iterator<Item = Self> + use<>, Error> {
        let root = root.to_owned();
        let versions = versions(&root)?.into_iter();
        Ok(versions.map(move |version| Self::in_dir(&root.join(version.to_string()))))
    }

    /// The pins of this ABI below `root`, which was made. Makes the directories that are missing.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let pins = Self::at(root);
        let dirs = [&pins.dir, &pins.maps(), &pins.links()];
        let made = dirs.into_iter().try_for_each(|dir| make_private(dir));
        made.inspect_err(|_| pins.remove_empty()).map(|()| pins)
    }

    /// Takes away those of the directories in which there is nothing.
    pub fn remove_empty(&self) {
        for dir in [&self.links(), &self.maps(), &self.dir, &self.root] {
            let _others_pin_there = fs::remove_dir(dir).err();
        }
    }

    /// What all versions have in common.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of this version.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directories of other versions that have pinned something.
    pub fn others(&self) -> Result<Vec<PathBuf>, Error> {
        let versions = versions(&self.root)?.into_iter();
        let others = versions.filter(|version| *version != abi::VERSION);
        Ok(others
            .map(|version| self.root.join(version.to_string()))
            .collect())
    }

    /// Keeps other agents from attaching, unless one does so at this moment.
    pub fn begin_attach(&self) -> io::Result<Option<Lock>> {
        Lock::try_take(&self.links())
    }

    /// Whether any link is pinned: then programs are attached, whoever did it.
    pub fn attached(&self) -> bool {
        // What cannot be read is not thought to be nothing.
        names(&self.links()).map_or(true, |names| !names.is_empty())
    }

    /// What of this version is pinned.
    pub fn pinned(&self) -> Result<Pinned, Error> {
        let texts = |dir: &Path| -> Result<Vec<_>, Error> {
            let names = names(dir)?.into_iter();
            let mut texts: Vec<_> = names.map(|name| name.to_string_lossy().into()).collect();
            texts.sort_unstable();
            Ok(texts)
        };
        Ok(Pinned {
            links: texts(&self.links())?,
            maps: texts(&self.maps())?,
        })
    }

    /// Where the map called `name` is pinned, or would be in the directory of another version.
    pub(super) fn map_in(dir: &Path, name: &str) -> PathBuf {
        dir.join("maps").join(name)
    }

    /// Where the map called `name` is pinned.
    pub(super) fn map(&self, name: &str) -> PathBuf {
        Self::map_in(&self.dir, name)
    }

    /// Where the link of the program called `name` is pinned.
    pub(super) fn link(&self, name: &str) -> PathBuf {
        self.links().join(name)
    }

    /// The directory of the maps.
    pub fn maps(&self) -> PathBuf {
        self.dir.join("maps")
    }

    fn links(&self) -> PathBuf {
        self.dir.join("links")
    }
}

fn names(dir: &Path) -> Result<Vec<OsString>, Error> {
    let failed = |source| Error::Directory {
        what: "read",
        path: dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name()));
    names.collect::<io::Result<_>>().map_err(failed)
}

/// That `root`, or where it will be made, is on a bpf file system, and below where that is mounted.
pub fn on_bpf_fs(root: &Path) -> Result<(), Error> {
    let existing = is_on_bpf_fs(root)?;
    let failed = |source| Error::Directory {
        what: "look at",
        path: existing.to_owned(),
        source,
    };
    if existing == root && is_mount(root).map_err(failed)? {
        return Err(Error::Mount(root.to_owned()));
    }
    Ok(())
}

/// That `root`, or where it will be made, is on a bpf file system. Says what of it exists.
pub(super) fn is_on_bpf_fs(root: &Path) -> Result<&Path, Error> {
    let existing = root.ancestors().find(|path| path.exists());
    let existing = existing.unwrap_or(Path::new("/"));
    let found = statfs(existing).map_err(|errno| Error::Directory {
        what: "look at",
        path: existing.to_owned(),
        source: errno.into(),
    })?;
    if u64::try_from(found.f_type).is_ok_and(|kind| kind == BPF_FS) {
        return Ok(existing);
    }
    Err(Error::NotBpfFs(root.to_owned()))
}

/// Whether another file system is above it.
fn is_mount(path: &Path) -> io::Result<bool> {
    let above = path.parent().unwrap_or(path);
    Ok(fs::metadata(path)?.dev() != fs::metadata(above)?.dev())
}

fn make_private(path: &Path) -> Result<(), Error> {
    let failed = |what| {
        let path = path.to_owned();
        move |source| Error::Directory { what, path, source }
    };
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(failed("make the directory")(error));
        }
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(path).map_err(failed("look at"))?;
    let us = rustix::process::geteuid().as_raw();
    if !found.is_dir() {
        return Err(Error::NoDirectory(path.to_owned()));
    }
    if found.uid() != us {
        return Err(Error::Owner {
            path: path.to_owned(),
            owner: found.uid(),
        });
    }
    if found.mode() & 0o777 != PRIVATE {
        fs::set_permissions(path, Permissions::from_mode(PRIVATE))
            .map_err(failed("keep others from"))?;
    }
    Ok(())
}

/// What of a pin cannot be done.
pub(super) fn failed(what: &'static str, path: &Path, source: io::Error) -> super::Error {
    let path = path.to_owned();
    Error::Directory { what, path, source }.into()
}

/// A pin under one of our names that is not ours.
pub(super) fn foreign(path: &Path, why: impl Into<String>) -> super::Error {
    let (path, why) = (path.to_owned(), why.into());
    Error::Foreign { path, why }.into()
}
