//! The pods' connections to the real metadata service that are older than the programs, and their end.
//!
//! Whoever connects is seen by the programs; whoever was connected before has every packet dropped (`imds_egress`), and
//! waits for a timeout of its own. Here the kernel closes such sockets (`SOCK_DESTROY`, Linux 4.5 with
//! `CONFIG_INET_DIAG_DESTROY`): their owners get `ECONNABORTED` at once, connect anew, and come to us.
//!
//! No other socket is closed than one with a peer at the metadata address, in a cgroup below the pods' by the kernel's own
//! word, and not in one that is exempt, as ours is. What cannot be seen or closed from here is left to the programs.

mod diag;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::{
    cgroup,
    id::CgroupId,
    netns::{self, Netns},
};

use diag::{Closed, Diag, Family, Socket};

/// How long all of it may take. A node has some hundred namespaces, each of which takes a millisecond or two: the kernel
/// walks its whole table of connections.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a namespace is looked at, while there is something to close: a list is no snapshot.
const ROUNDS: usize = 3;

/// Why a connection may have been left to the programs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A namespace cannot be seen.
    #[error(transparent)]
    Netns(#[from] netns::Error),
    /// Its sockets cannot be listed, or one of them not be closed.
    #[error("cannot {doing} connections in {}", .netns.display())]
    Sockets {
        /// What was to be done with them.
        doing: &'static str,
        /// The namespace's file.
        netns: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The kernel tells of nobody's sockets, or closes none.
    #[error("this kernel has no CONFIG_INET_TCP_DIAG or no CONFIG_INET_DIAG_DESTROY")]
    Unsupported,
    /// There were more namespaces than there was time.
    #[error("{0} network namespaces were not reached in time")]
    Late(usize),
}

impl Error {
    /// Whether it is the node's or the operator's choice, and nobody's fault.
    pub fn is_expected(&self) -> bool {
        match self {
            Self::Netns(error) => error.is_denied(),
            Self::Unsupported => true,
            Self::Sockets { .. } | Self::Late(_) => false,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many network namespaces were looked at.
    pub namespaces: usize,
    /// How many connections were cut.
    pub cut: usize,
    /// What kept us from cutting others, if there were any.
    pub errors: Vec<Error>,
}

/// Cuts them, wherever they are to be seen: in the network namespaces that `netns_dir` or the pods' processes lead to. Those
/// of the cgroups `spared` and below keep theirs.
pub fn cut(netns_dir: &Path, pods: &cgroup::Tree, spared: &[CgroupId]) -> Outcome {
    let deadline = Instant::now() + PATIENCE;
    let found = netns::find(netns_dir, pods.kubepods());
    let mut outcome = Outcome {
        errors: found.failed.into_iter().map(Error::Netns).collect(),
        ..Outcome::default()
    };
    let is_ours = |cgroup| pods.contains(cgroup) && !pods.is_within(cgroup, spared);
    let mut places = found.places.into_iter();
    while let Some(place) = places.next() {
        // One at a time: each takes a descriptor.
        let done = match place.open() {
            Ok(Some(netns)) => cut_in(&netns, deadline, is_ours, &mut outcome.cut),
            Ok(None) => continue,
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(()) => outcome.namespaces += 1,
            Err(Error::Unsupported) => {
                // It is the same everywhere.
                outcome.errors.push(Error::Unsupported);
                break;
            }
            Err(error) => outcome.errors.push(error),
        }
        if Instant::now() > deadline && places.len() > 0 {
            outcome.errors.push(Error::Late(places.len()));
            break;
        }
    }
    outcome
}

/// Cuts those of the pods' cgroups in one namespace, and counts them.
fn cut_in(
    netns: &Netns,
    deadline: Instant,
    is_ours: impl Fn(CgroupId) -> bool + Sync,
    count: &mut usize,
) -> Result<(), Error> {
    let is_older =
        |socket: &Socket| socket.remote().is_metadata() && socket.cgroup.is_some_and(&is_ours);
    let failed = |doing| move |source| sockets_error(netns.path(), doing, source);
    netns.run(|| {
        let mut diag = Diag::open(deadline).map_err(failed("list"))?;
        let mut closes = true;
        for _ in 0..ROUNDS {
            let mut older = diag.sockets(Family::V4, is_older).map_err(failed("list"))?;
            older.extend(diag.sockets(Family::V6, is_older).map_err(failed("list"))?);
            if older.is_empty() {
                return Ok(());
            }
            closes = false;
            for socket in &older {
                let closed = diag.destroy(socket).map_err(failed("close"))?;
                *count += usize::from(closed == Closed::Now);
                closes |= closed != Closed::Never;
            }
        }
        // What only waits to be forgotten is in no list any more.
        if closes {
            Ok(())
        } else {
            Err(Error::Unsupported)
        }
    })?
}

/// What cannot be done without a module or an option of the kernel is nobody's fault.
fn sockets_error(netns: &Path, doing: &'static str, source: io::Error) -> Error {
    match Errno::from_io_error(&source) {
        Some(Errno::OPNOTSUPP | Errno::NOENT | Errno::PROTONOSUPPORT) => Error::Unsupported,
        _ => Error::Sockets {
            doing,
            netns: netns.to_owned(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_do_it_is_told_from_one_that_fails() {
        for (errno, says, expected) in [
            (
                Errno::OPNOTSUPP,
                "this kernel has no CONFIG_INET_TCP_DIAG or no CONFIG_INET_DIAG_DESTROY",
                true,
            ),
            (
                Errno::NOENT,
                "this kernel has no CONFIG_INET_TCP_DIAG or no CONFIG_INET_DIAG_DESTROY",
                true,
            ),
            (
                Errno::PERM,
                "cannot close connections in /run/netns/a",
                false,
            ),
            (
                Errno::AGAIN,
                "cannot close connections in /run/netns/a",
                false,
            ),
        ] {
            let error = sockets_error(Path::new("/run/netns/a"), "close", errno.into());
            assert_eq!((&*error.to_string(), error.is_expected()), (says, expected));
        }
    }

    #[test]
    fn a_namespace_that_may_not_be_entered_is_expected_and_one_of_another_kind_is_not() {
        let enter = |errno: Errno| {
            Error::Netns(netns::Error::Enter {
                path: "/run/netns/a".into(),
                source: errno.into(),
            })
        };
        assert!(enter(Errno::PERM).is_expected() && enter(Errno::ACCESS).is_expected());
        assert!(!enter(Errno::INVAL).is_expected() && !Error::Late(3).is_expected());
    }
}
