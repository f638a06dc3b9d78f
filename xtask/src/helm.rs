//! Helm, built from its Go module into the tool cache.
//!
//! It sees nothing of the user's own Helm: no plugins, no repositories, no settings. What it is asked for here takes no
//! network and no cluster.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cache, cx::Cx, exec, kube::go, say};

/// Its module, and the exact version.
const MODULE: &str = "helm.sh/helm/v4/cmd/helm";
const VERSION: &str = "v4.3.1";

/// The program, and a directory that stands for its user's home.
pub(crate) struct Helm {
    program: PathBuf,
    home: PathBuf,
}

impl Helm {
    /// The program, which is built first where it is missing.
    pub(crate) fn ensure(cx: &Cx) -> Result<Self> {
        let works = |dir: &Path| exec::works(Command::new(dir.join("helm")).arg("version"));
        let made = cache::entry(cx, &format!("helm-{VERSION}"), works, |dir| make(cx, dir));
        Ok(Self {
            program: made.context("cannot build Helm")?.join("helm"),
            home: cx.target_dir().join("helm"),
        })
    }

    /// Where tests find the program.
    pub(crate) fn variable(&self) -> (String, String) {
        let program = self.program.display().to_string();
        ("BPF2IAM_HELM".to_owned(), program)
    }

    /// One of its commands.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        for place in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{place}_HOME"), self.home.join(place));
        }
        command.env("HELM_PLUGINS", self.home.join("plugins"));
        command.arg(name);
        command
    }
}

fn make(cx: &Cx, dir: &Path) -> Result<()> {
    say::note("the first time this takes some minutes; later ones find most in Go's own cache");
    let mut go = Command::new(go::directory(cx)?.join("go"));
    go.args(["install", "-trimpath", "-ldflags", "-s -w"])
        .arg(format!("{MODULE}@{VERSION}"));
    exec::run(go.env("GOBIN", dir).env("CGO_ENABLED", "0"))
}
