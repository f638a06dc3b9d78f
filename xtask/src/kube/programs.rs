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

/// And for a node.
const NODE: [&str; 1] = ["src/kube/node/main.go"];

/// For the smallest of them.
const COMPILER: install::Package = install::Package::program("gcc", "cc");
/// For runc.
const SECCOMP: [install::Package; 2] = [
    install::Package::program("pkg-config", "pkg-config"),
    install::Package::file("libseccomp-dev", "/usr/include/seccomp.h"),
];

/// The directory with the programs of the control plane, which are built first where they are missing.
pub(crate) fn control_plane(cx: &Cx) -> Result<PathBuf> {
    let make = |dir: &Path| make(cx, &[COMPILER], &["api"], dir);
    let made = cache::entry(cx, &id(cx, "control-plane", &[])?, works, make);
    made.context("cannot build the control plane")
}

/// The directory with the programs of a whole cluster.
pub(crate) fn all(cx: &Cx) -> Result<PathBuf> {
    let packages = [&[COMPILER][..], &SECCOMP].concat();
    let make = |dir: &Path| make(cx, &packages, &[], dir);
    let made = cache::entry(cx, &id(cx, "cluster", &NODE)?, works, make);
    made.context("cannot build the cluster")
}

/// Tells the outcome of these sources from others.
fn id(cx: &Cx, name: &str, more: &[&str]) -> Result<String> {
    let scripts = scripts::directory(cx);
    let sources = CONTROL_PLANE.iter().chain(more);
    let contents: Result<Vec<_>> = sources
        .map(|source| fs::read(scripts.join(source)).with_context(|| (*source).to_owned()))
        .collect();
    Ok(cache::id(name, &contents?))
}

fn works(dir: &Path) -> bool {
    let version = ["version", "--client"];
    exec::works(Command::new(dir.join("kubectl")).args(version))
}

fn make(cx: &Cx, packages: &[install::Package], parts: &[&str], dir: &Path) -> Result<()> {
    install::debian(cx, packages)?;
    let path = path_with(go::directory(cx)?)?;
    say::note("the first time this takes 7 to 15 minutes; later ones find most in Go's own cache");
    let mut build = Command::new(scripts::directory(cx).join("build.sh"));
    build.args(parts).env("BIN", dir).env("PATH", path);
    exec::run(build.stdout(io::stderr()))
}

/// `PATH` with a directory before all others.
fn path_with(directory: PathBuf) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = iter::once(directory).chain(env::split_paths(&path));
    env::join_paths(directories).context("PATH")
}
