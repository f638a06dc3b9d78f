//! The scripts in `tests/cluster`, and what they are told.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cx::Cx, exec};

/// Where they are.
pub(super) fn directory(cx: &Cx) -> PathBuf {
    cx.root.join("tests/cluster")
}

/// Where each cluster has a directory of its own. A cluster's cgroups have the directory's name.
pub(super) fn work_directory(cx: &Cx) -> PathBuf {
    cx.target_dir().join("cluster")
}

/// The scripts for one cluster.
pub(super) struct Scripts {
    directory: PathBuf,
    programs: PathBuf,
    work: PathBuf,
    name: String,
}

impl Scripts {
    /// For the cluster of this name.
    pub(super) fn new(cx: &Cx, name: String, programs: PathBuf) -> Self {
        Self {
            directory: directory(cx),
            programs,
            work: work_directory(cx).join(&name),
            name,
        }
    }

    /// What the cluster writes while it is up.
    pub(super) fn state(&self) -> PathBuf {
        self.work.join("run")
    }

    /// Brings up a part of it.
    pub(super) fn up(&self, part: &str) -> Result<()> {
        exec::run(self.script("up.sh").arg(part).stdout(io::stderr()))
    }

    /// Removes all of it, whatever there is. Ctrl-C on the terminal is not for this.
    pub(super) fn down(&self) -> Result<()> {
        if !self.work.exists() {
            return Ok(());
        }
        exec::capture(self.script("down.sh").process_group(0))?;
        remove(&self.work)
    }

    /// One of them.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(self.directory.join(name));
        command
            .env("BIN", &self.programs)
            .env("WORK", &self.work)
            .env("NAME", &self.name);
        command
    }
}

/// Somebody else may do it at the same time, and be first.
fn remove(work: &Path) -> Result<()> {
    match fs::remove_dir_all(work) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", work.display()))
        }
        _ => Ok(()),
    }
}
