//! The programs of the cluster, built from their Go modules into the tool cache.

use std::{
    env,
    ffi::OsString,
    fs, io, iter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{go, scripts};
use crate::{cache, cx::Cx, exec, install, say};

/// What decides what comes out.
const CONTROL_PLANE: [&str; 5] = [
    "build.sh",
    "src/kube/control/main.go",
    "src/kube/go.mod",
    "src/kube/go.sum",
    "src/pause.c",
];

/// For the smallest of them.
const COMPILER: install::Package = install::Package::program("gcc", "cc");

/// The directory with the programs of the control plane, which are built first where they are missing.
pub(crate) fn control_plane(cx: &Cx) -> Result<PathBuf> {
    let scripts = scripts::directory(cx);
    let sources = CONTROL_PLANE.map(|source| scripts.join(source));
    let mut contents = Vec::new();
    for source in &sources {
        contents.push(fs::read(source).with_context(|| source.display().to_string())?);
    }
    let id = cache::id("control-plane", &contents);
    let made = cache::entry(cx, &id, works, |dir| make(cx, &scripts, dir));
    made.context("cannot build the control plane")
}

fn works(dir: &Path) -> bool {
    let version = ["version", "--client"];
    exec::works(Command::new(dir.join("kubectl")).args(version))
}

fn make(cx: &Cx, scripts: &Path, dir: &Path) -> Result<()> {
    install::debian(cx, &[COMPILER])?;
    let path = path_with(go::directory(cx)?)?;
    say::note("the first time this takes 7 to 15 minutes; later ones find most in Go's own cache");
    let mut build = Command::new(scripts.join("build.sh"));
    build.arg("api").env("BIN", dir).env("PATH", path);
    exec::run(build.stdout(io::stderr()))
}

/// `PATH` with a directory before all others.
fn path_with(directory: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = iter::once(directory).chain(env::split_paths(&path));
    env::join_paths(directories).context("PATH")
}
