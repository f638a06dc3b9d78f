//! Builds the fuzz targets, with a compiler that takes unstable options.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    cache::{self, Tool},
    cargo,
    cx::Cx,
    exec, say,
};

/// Not optimised: all it does is to call cargo.
const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    flavour: "",
    args: &["--debug", "--config", "profile.dev.debug=false"],
};

/// The targets, built.
pub(super) struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// The program of the target with this name.
    pub(super) fn of(&self, target: &str) -> PathBuf {
        self.dir.join(target)
    }
}

/// Builds all targets.
pub(super) fn all(cx: &Cx) -> Result<Programs> {
    say::step("build the fuzz targets");
    let program = CARGO_FUZZ.ensure(cx, &[])?;
    let source = cx.root.join("tests/fuzz");
    let target_dir = cx.target_dir().join("fuzz");
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut fuzz = unstable(cx, &program);
    fuzz.args(["build", "--target", &triple, "--fuzz-dir"])
        .arg(&source)
        .arg("--target-dir")
        .arg(&target_dir);
    {
        let _lock = cache::lock(cx, "fuzz")?;
        take_versions(cx, &source)?;
        exec::run(&mut fuzz)?;
    }
    let dir = target_dir.join(triple).join("release");
    Ok(Programs { dir })
}

/// Sees to it that what is fuzzed is built of the same versions as the project.
fn take_versions(cx: &Cx, source: &Path) -> Result<()> {
    let file = source.join("Cargo.lock");
    let copied = fs::copy(cx.root.join("Cargo.lock"), &file);
    copied.with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// A program that calls cargo: a nightly's, or the project's own that is told to be as one.
fn unstable(cx: &Cx, program: &Path) -> Command {
    let nightly = |program: &Path| {
        let mut rustup = cargo::foreign("rustup");
        rustup.args(["run", "nightly"]).arg(program);
        rustup
    };
    if exec::works(nightly("cargo".as_ref()).arg("--version")) {
        return nightly(program);
    }
    say::note("there is no nightly here: the project's own compiler is told to be as one");
    let mut own = cargo::in_workspace(cx, program);
    own.env("RUSTC_BOOTSTRAP", "1");
    own
}
