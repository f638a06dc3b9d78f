//! A real Kubernetes in namespaces of its own, made by the scripts in `tests/cluster`.
//!
//! It has no way out to any network. It goes with the value that stands for it, however the verb ends; what a killed
//! xtask leaves behind, the next one removes.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use bpf2iam_support::{run::Run, sweep};

use crate::{cx::Cx, install, say};

mod environment;
pub(crate) mod go;
mod leftovers;
pub(crate) mod programs;
mod scripts;

use scripts::Scripts;

/// What the scripts call.
pub(crate) const NEEDS: [install::Package; 2] = [
    install::IPROUTE2,
    install::Package::program("openssl", "openssl"),
];
/// What a node is made of besides.
pub(crate) const NODE_NEEDS: [install::Package; 3] = [
    install::Package::program("busybox-static", "busybox"),
    install::IPTABLES,
    install::NFTABLES,
];

/// How much of a log is shown after a failure.
const TAIL: usize = 20;

/// A cluster that is up. On drop it is taken down.
pub(crate) struct Cluster {
    scripts: Scripts,
}

impl Cluster {
    /// Brings up the control plane alone: etcd, API server and controllers, with the `programs` of this directory.
    pub(crate) fn control_plane(cx: &Cx, programs: PathBuf) -> Result<Self> {
        say::step("bring up a control plane");
        Self::up(cx, programs, "api")
    }

    /// Brings up all of it: a node with kubelet, containerd and runc as well.
    pub(crate) fn with_node(cx: &Cx, programs: PathBuf) -> Result<Self> {
        say::step("bring up a cluster");
        Self::up(cx, programs, "all")
    }

    fn up(cx: &Cx, programs: PathBuf, part: &str) -> Result<Self> {
        sweep::sweep().context("cannot remove what an earlier run left behind")?;
        leftovers::sweep(cx)?;
        let name = Run::next()?.to_string();
        // From here on it is taken down, also where bringing it up fails half-way.
        let cluster = Self {
            scripts: Scripts::new(cx, name, programs),
        };
        cluster.scripts.up(part)?;
        Ok(cluster)
    }

    /// One of the scripts for it.
    pub(crate) fn script(&self, name: &str) -> Command {
        self.scripts.script(name)
    }

    /// What it writes while it is up.
    pub(crate) fn state(&self) -> PathBuf {
        self.scripts.state()
    }

    /// Where things are, as variables for tests.
    pub(crate) fn environment(&self) -> Result<Vec<(String, String)>> {
        let path = self.scripts.state().join("environment");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        environment::parse(&text)
    }

    /// Takes it down.
    pub(crate) fn down(&self) -> Result<()> {
        self.scripts.down().context("cannot take the cluster down")
    }

    /// The same, for whoever can do no more than say what went wrong.
    pub(crate) fn abandon(&self) {
        if let Err(error) = self.down() {
            say::error(&error);
        }
    }

    /// Shows the end of what each of these programs of it has said.
    pub(crate) fn show_logs(&self, programs: &[&str]) {
        for program in programs {
            self.show_log(program);
        }
    }

    fn show_log(&self, program: &str) {
        say::step(format!("what {program} said last"));
        let path = self.scripts.state().join(format!("log/{program}.log"));
        let log = fs::read(path).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
            say::note(line);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.abandon();
    }
}
