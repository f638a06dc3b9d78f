//! Network namespaces by their names, and what can be reached from inside them.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::{
    io::Errno,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

/// What came of trying one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All that has a route was reached.
    Reached,
    /// It has no route to any of them: no pod's, or not yet.
    NoRoute,
    /// It is no namespace, or is gone.
    NotOne,
    /// We may not enter it.
    Denied,
    /// This one was not reached.
    Failed(SocketAddr, String),
}

/// The names in `dir`, sorted.
pub(super) fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<io::Result<_>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// Connects to all of `targets` from inside the namespace at `path`, on a thread of its own, which is in no other namespace
/// afterwards.
pub(super) fn attempt(path: &Path, targets: &[SocketAddr], patience: Duration) -> Outcome {
    let inside = || -> io::Result<Outcome> {
        let netns = File::open(path)?;
        move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(connect(targets, patience))
    };
    let tried = thread::scope(|scope| scope.spawn(inside).join());
    match tried {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) if error.kind() == ErrorKind::PermissionDenied => Outcome::Denied,
        Ok(Err(_)) | Err(_) => Outcome::NotOne,
    }
}

fn connect(targets: &[SocketAddr], patience: Duration) -> Outcome {
    let mut outcome = Outcome::NoRoute;
    for target in targets {
        match TcpStream::connect_timeout(target, patience) {
            Ok(_stream) => outcome = Outcome::Reached,
            Err(error) if has_no_route(&error) => {}
            Err(error) => return Outcome::Failed(*target, error.to_string()),
        }
    }
    outcome
}

/// Not every pod has addresses of both families.
fn has_no_route(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    [Errno::NETUNREACH, Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT]
        .map(Some)
        .contains(&errno)
}
