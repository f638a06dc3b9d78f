//! Network namespaces by their names, and what can be reached from inside them.

use std::{
    fs, io,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::io::Errno;

use crate::netns::Netns;

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

/// Connects to all of `targets` from inside the namespace at `path`.
pub(super) fn attempt(path: &Path, targets: &[SocketAddr], patience: Duration) -> Outcome {
    let inside = |netns: Option<Netns>| netns.map(|netns| netns.run(|| connect(targets, patience)));
    match Netns::open(path).map(inside) {
        Ok(Some(Ok(outcome))) => outcome,
        Err(error) | Ok(Some(Err(error))) if error.is_denied() => Outcome::Denied,
        Ok(None | Some(Err(_))) | Err(_) => Outcome::NotOne,
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
