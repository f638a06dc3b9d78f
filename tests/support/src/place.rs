//! Where a process runs: a cgroup and a network namespace. To the kernel a pod is nothing else.

#![expect(
    unsafe_code,
    reason = "between fork and exec not everything is allowed"
)]

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::netns;

/// A cgroup and a network namespace that processes can be started in. It comes from a node or one of its
/// pods, so that its network is theirs, or is made of what somebody else has set up.
#[derive(Clone, Debug)]
pub struct Place {
    cgroup: PathBuf,
    netns: PathBuf,
}

impl Place {
    /// Of a cgroup's directory and a namespace's file. Nothing starts there if that is the machine's own namespace.
    pub fn new(cgroup: impl Into<PathBuf>, netns: impl Into<PathBuf>) -> Self {
        Self {
            cgroup: cgroup.into(),
            netns: netns.into(),
        }
    }

    /// The cgroup's directory.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// The namespace's file.
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// This network with another cgroup.
    #[must_use]
    pub fn with_cgroup(&self, cgroup: impl Into<PathBuf>) -> Self {
        Self::new(cgroup, &self.netns)
    }

    /// This cgroup with the network of another place: what a process can get at by a descriptor.
    #[must_use]
    pub fn with_network_of(&self, other: &Self) -> Self {
        Self::new(&self.cgroup, &other.netns)
    }

    /// How to run `program` in this place from a shell, by hand.
    pub fn recipe(&self, program: &str) -> String {
        let (cgroup, netns) = (self.cgroup.display(), self.netns.display());
        format!(
            "sh -c 'echo $$ >{cgroup}/cgroup.procs && exec nsenter --net={netns} \"$@\"' - {program}"
        )
    }

    /// A program that is in this place from its first instruction.
    ///
    /// It gets SIGKILL when the thread that starts it ends, so that it outlives no test.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let door = Door::open(self)?;
        let mut command = Command::new(program);
        let enter = move || door.enter();
        // SAFETY: between fork and exec `enter` makes system calls on descriptors that are open
        // already, and neither allocates nor takes a lock.
        unsafe { command.pre_exec(enter) };
        Ok(command)
    }
}

/// What is opened before the fork, so that the child has only system calls to make.
#[derive(Debug)]
struct Door {
    procs: OwnedFd,
    netns: OwnedFd,
    parent: Pid,
}

impl Door {
    fn open(place: &Place) -> Result<Self> {
        let procs = place.cgroup.join("cgroup.procs");
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(Self {
            procs: rustix::fs::open(&procs, flags, Mode::empty())
                .with_context(|| procs.display().to_string())?,
            netns: netns::open(&place.netns)?,
            parent: getpid(),
        })
    }

    /// Async-signal-safe.
    fn enter(&self) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(self.parent) {
            // The parent died before it could be watched.
            return Err(Errno::SRCH.into());
        }
        // Zero is the writer itself.
        rustix::io::write(&self.procs, b"0")?;
        move_into_link_name_space(self.netns.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_started_in_the_machines_own_network() {
        // The cgroup is no obstacle: any file that can be written will do.
        let cgroup = std::env::temp_dir().join(format!("place-{}", std::process::id()));
        std::fs::create_dir(&cgroup).unwrap();
        std::fs::write(cgroup.join("cgroup.procs"), "").unwrap();
        let refused = Place::new(&cgroup, "/proc/self/ns/net").command("true");
        std::fs::remove_dir_all(&cgroup).unwrap();
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("nothing may run there"), "{error}");
    }
}
