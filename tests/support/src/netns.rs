//! Network namespaces that are nobody else's.
//!
//! The machine's own namespace cannot be opened by this module: whoever got a descriptor from it is away
//! from the uplink.

use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    mount::{UnmountFlags, unmount},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::ip;

/// Where iproute2 and the CNI plugins keep namespaces.
pub(crate) const DIRECTORY: &str = "/run/netns";

/// A network namespace with a name under /run/netns. It is removed on drop.
#[derive(Debug)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// Makes one. It has a loopback device that is down, and nothing else.
    pub(crate) fn create(name: String) -> Result<Self> {
        ip::add_namespace(&name)?;
        let netns = Self { name };
        netns.run(|| {
            sysctl("net.ipv4.ip_forward", "0")?;
            sysctl("net.ipv6.conf.all.forwarding", "0")
        })??;
        Ok(netns)
    }

    /// Its name, as `ip -n` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// Runs `work` in it, on a thread of its own. Sockets that `work` makes stay in it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let netns = open(&self.path())?;
        let inside = || {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(work())
        };
        let result: io::Result<T> = thread::scope(|scope| {
            let thread = scope.spawn(inside);
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        result.with_context(|| format!("cannot enter {}", self.path().display()))
    }

    /// Sets a variable of its network stack, such as `net.ipv4.tcp_syncookies`.
    pub fn sysctl(&self, variable: &str, value: &str) -> Result<()> {
        self.run(|| sysctl(variable, value))?
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        crate::sweep::report(remove(&self.path()));
    }
}

/// Opens a namespace that processes may be put into.
pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    let what = || format!("the network namespace {}", path.display());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let netns = rustix::fs::open(path, flags, Mode::empty()).with_context(what)?;
    let identity = identity_of(&rustix::fs::fstat(&netns).with_context(what)?);
    let own = rustix::fs::stat("/proc/self/ns/net").context("/proc/self/ns/net")?;
    // Not everybody may look at the first process, root in a container for one.
    let first = rustix::fs::stat("/proc/1/ns/net").ok();
    ensure!(
        identity != identity_of(&own) && Some(identity) != first.as_ref().map(identity_of),
        "{} is the machine's own: nothing may run there",
        path.display()
    );
    Ok(netns)
}

/// Takes the name away. The namespace goes when its last process and socket have gone.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::NOENT | Errno::INVAL) => {}
        Err(error) => return Err(error).with_context(|| format!("umount {}", path.display())),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("rm {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn identity_of(stat: &rustix::fs::Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Of the namespace that the calling thread is in.
fn sysctl(variable: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(variable.replace('.', "/"));
    fs::write(&path, value).with_context(|| format!("{} = {value}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_namespace_is_not_opened() {
        let own = Path::new("/proc/self/ns/net");
        let error = open(own).unwrap_err().to_string();
        assert!(error.contains("nothing may run there"), "{error}");
        assert!(open(Path::new("/proc/1/ns/net")).is_err());
    }
}
