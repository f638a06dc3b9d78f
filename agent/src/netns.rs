//! The network namespaces of this node, and work inside one of them.
//!
//! A namespace that was found stays what it was until it is dropped, also when its pod is gone meanwhile.
//! No thread that has anything else to do ever changes its namespace: the work runs on a thread of its own,
//! which ends with it and is not put back. To enter a namespace takes `CAP_SYS_ADMIN`; our own takes nothing.

mod find;

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    fs::{Mode, OFlags, Stat},
    io::Errno,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

pub use find::{Found, Place, find};

/// The namespace of the calling process.
const OWN: &str = "/proc/self/ns/net";

/// `NSFS_MAGIC` of `include/uapi/linux/magic.h`: what a file is that stands for a namespace.
const NSFS: i64 = 0x6e73_6673;

/// Why a network namespace cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody can say which there are.
    #[error("cannot look for network namespaces in {}", .path.display())]
    Find {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open the network namespace {}", .path.display())]
    Open {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// We may not go there, or it is a namespace of another kind.
    #[error("cannot enter the network namespace {}", .path.display())]
    Enter {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether it is for want of a capability.
    pub fn is_denied(&self) -> bool {
        let (Self::Find { source, .. } | Self::Open { source, .. } | Self::Enter { source, .. }) =
            self;
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// What tells one namespace from another: device and inode of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    const fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
        }
    }

    /// Of the file at `path`, whatever that is.
    fn at(path: &Path) -> rustix::io::Result<Self> {
        Ok(Self::of(&rustix::fs::stat(path)?))
    }
}

/// A network namespace.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    /// None is needed where we are already.
    file: Option<OwnedFd>,
}

impl Netns {
    /// The agent's own.
    pub fn own() -> Self {
        Self {
            path: OWN.into(),
            file: None,
        }
    }

    /// The one that the file at `path` stands for; `None` when it stands for no namespace, or is gone.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let failed = |errno| open_error(path.to_owned(), errno);
        // Whatever else is there, a pipe for one, must not keep us waiting.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::SRCH | Errno::NXIO) => return Ok(None),
            file => file.map_err(failed)?,
        };
        if rustix::fs::fstatfs(&file).map_err(failed)?.f_type != NSFS {
            return Ok(None);
        }
        Ok(Some(Self {
            path: path.to_owned(),
            file: Some(file),
        }))
    }

    /// The file that it was found by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in it, on a thread of its own, and waits for it. Sockets that `work` makes stay in it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let inside = || {
            if let Some(file) = &self.file {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            }
            Ok(work())
        };
        let ended = thread::scope(|scope| {
            let thread = thread::Builder::new().name("netns".to_owned());
            let thread = thread.spawn_scoped(scope, inside)?;
            let ended = thread.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        ended.map_err(|source| Error::Enter {
            path: self.path.clone(),
            source,
        })
    }
}

fn open_error(path: PathBuf, errno: Errno) -> Error {
    let source = errno.into();
    Error::Open { path, source }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command},
        thread::sleep,
        time::{Duration, Instant},
    };

    use bpf2iam_support::privilege::root_or_skip;

    use super::*;

    fn here() -> Id {
        Id::at(Path::new("/proc/thread-self/ns/net")).unwrap()
    }

    /// A process in a network namespace of its own.
    struct Elsewhere(Child);

    impl Elsewhere {
        fn start() -> Self {
            let mut unshare = Command::new("unshare");
            let started = Self(unshare.args(["--net", "sleep", "60"]).spawn().unwrap());
            let deadline = Instant::now() + Duration::from_secs(20);
            while Id::at(&started.path()).unwrap() == here() {
                assert!(Instant::now() < deadline, "unshare does nothing");
                sleep(Duration::from_millis(5));
            }
            started
        }

        fn path(&self) -> PathBuf {
            format!("/proc/{}/ns/net", self.0.id()).into()
        }
    }

    impl Drop for Elsewhere {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn work_runs_inside_and_whoever_waits_for_it_stays_where_it_is() {
        if !root_or_skip("work_runs_inside_and_whoever_waits_for_it_stays_where_it_is") {
            return;
        }
        let (elsewhere, before) = (Elsewhere::start(), here());
        let netns = Netns::open(&elsewhere.path()).unwrap().unwrap();
        let inside = netns.run(here).unwrap();
        assert_ne!(inside, before);
        assert_eq!(inside, Id::at(&elsewhere.path()).unwrap());
        assert_eq!(here(), before);
        // It outlives its process.
        drop(elsewhere);
        assert_eq!(netns.run(here).unwrap(), inside);
    }

    #[test]
    fn our_own_needs_nothing() {
        let own = Netns::own();
        assert!(own.file.is_none());
        assert_eq!(own.run(here).unwrap(), here());
    }

    #[test]
    fn what_stands_for_no_namespace_is_none() {
        for path in ["/proc/stat", "/proc/none", "/"] {
            assert!(Netns::open(Path::new(path)).unwrap().is_none(), "{path}");
        }
    }

    #[test]
    fn a_namespace_of_another_kind_is_named() {
        let other = Netns::open(Path::new("/proc/self/ns/uts"))
            .unwrap()
            .unwrap();
        let error = other.run(|| ()).unwrap_err();
        let says = "cannot enter the network namespace /proc/self/ns/uts";
        assert_eq!(error.to_string(), says);
    }
}
