//! The virtual environment with the clients that are written in Python, and with moto.
//!
//! It is made under one name and used under another, so its scripts, which name their interpreter, do not run: the
//! interpreter is told which module to run instead.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{cache, cx::Cx, exec, install};

/// Every package with its version.
const REQUIREMENTS: &str = "tests/clients/requirements.txt";
/// Shows that what is wanted is there, and made for this interpreter.
const PROOF: &str = "import aiobotocore.session, awscli, boto3, moto.server";
/// Shows that an interpreter can make virtual environments: Debian has that in another package.
const ABLE: &str = "from ensurepip import version; import venv";
/// Debian's: the one that its package for virtual environments is for.
const DEBIANS_PYTHON: &str = "/usr/bin/python3";

/// A virtual environment in the tool cache.
pub(super) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// The one that the requirements describe, made first where it is missing.
    pub(super) fn ensure(cx: &Cx) -> Result<Self> {
        let requirements = cx.root.join(REQUIREMENTS);
        let text = fs::read(&requirements).context(REQUIREMENTS)?;
        let id = cache::id("clients", &[text]);
        let dir = cache::entry(cx, &id, works, |dir| make(cx, dir, &requirements));
        Ok(Self {
            dir: dir.context("cannot make the virtual environment of the clients")?,
        })
    }

    /// The directory of its programs.
    pub(super) fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// Its interpreter.
    pub(super) fn python(&self) -> PathBuf {
        self.bin().join("python")
    }
}

fn works(dir: &Path) -> bool {
    exec::works(python_in(dir).args(["-c", PROOF]))
}

/// The interpreter of an environment, without what the user's variables would add to it.
fn python_in(dir: &Path) -> Command {
    let mut python = Command::new(dir.join("bin/python"));
    python.arg("-I");
    python
}

/// No package is built from its sources, and none is installed that the requirements do not name.
fn make(cx: &Cx, dir: &Path, requirements: &Path) -> Result<()> {
    exec::run(
        Command::new(base_python(cx)?)
            .args(["-I", "-m", "venv"])
            .arg(dir),
    )?;
    let options =
        "install --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all:";
    exec::run(
        python_in(dir)
            .args(["-m", "pip"])
            .args(options.split(' '))
            .arg("--requirement")
            .arg(requirements),
    )?;
    let mut check = python_in(dir);
    check.args(["-m", "pip", "check", "--disable-pip-version-check"]);
    exec::run(check.stdout(io::stderr())) // no result of ours
}

/// A Python that can make virtual environments.
fn base_python(cx: &Cx) -> Result<PathBuf> {
    if let Some(python) = able_python() {
        return Ok(python);
    }
    install::debian(cx, &[install::Package::missing("python3-venv")])?;
    able_python().context("no Python here can make virtual environments")
}

fn able_python() -> Option<PathBuf> {
    let candidates = [Some(DEBIANS_PYTHON.into()), exec::find("python3")];
    let able = |python: &PathBuf| exec::works(Command::new(python).args(["-I", "-c", ABLE]));
    candidates.into_iter().flatten().find(able)
}
