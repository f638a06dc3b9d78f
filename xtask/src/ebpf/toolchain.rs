//! Finds a compiler for `bpfel-unknown-none`. No stable toolchain of rustup has a `core` for it.

use std::{fmt, path::Path, process::Command};

use super::linker;
use crate::{cargo, exec, install::Package};

/// What to do where none is found.
pub(super) const ADVICE: &str = "nothing here compiles for bpfel-unknown-none. Either will do: a nightly whose LLVM \
     is at most 22 (rustup toolchain install nightly --component rust-src), or Debian's packages";

/// Debian's toolchain with a prebuilt `core`.
pub(super) const PACKAGES: [Package; 3] = [
    Package::missing("rustc-web"),
    Package::missing("cargo-web"),
    Package::missing("libstd-rust-web-dev-bpf"),
];

const TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A toolchain that can build for BPF.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// A nightly of rustup, by name; it builds `core` itself.
    Nightly(String),
    /// The system's own, with a prebuilt `core`.
    Debian,
}

impl Toolchain {
    /// Its cargo, told to build for BPF.
    pub(super) fn cargo(&self) -> Command {
        let mut cargo = match self {
            Self::Nightly(name) => {
                let mut cargo = rustup_run(name, "cargo");
                cargo.arg("-Zbuild-std=core");
                cargo
            }
            Self::Debian => {
                let mut cargo = cargo::foreign(DEBIAN_CARGO);
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        };
        cargo.env("CARGO_BUILD_TARGET", TARGET);
        cargo
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nightly(name) => write!(f, "rustup's {name}"),
            Self::Debian => f.write_str("Debian's rustc"),
        }
    }
}

/// The first toolchain that will do: a nightly with sources, else Debian's.
pub(super) fn find() -> Option<Toolchain> {
    nightly().or_else(debian)
}

fn nightly() -> Option<Toolchain> {
    let list = exec::capture(cargo::foreign("rustup").args(["toolchain", "list"])).ok()?;
    nightlies(&list)
        .find(|name| has_sources(name) && readable(rustup_run(name, "rustc")))
        .map(Toolchain::Nightly)
}

fn debian() -> Option<Toolchain> {
    let there = Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_CARGO).exists();
    (there && has_core() && readable(cargo::foreign(DEBIAN_RUSTC))).then_some(Toolchain::Debian)
}

/// The names of the nightlies in `rustup toolchain list`.
fn nightlies(list: &str) -> impl Iterator<Item = String> {
    list.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("nightly"))
        .map(Into::into)
}

/// Whether a toolchain of rustup has the component rust-src.
fn has_sources(name: &str) -> bool {
    let sysroot = exec::capture(rustup_run(name, "rustc").args(["--print", "sysroot"]));
    sysroot.is_ok_and(|sysroot| {
        Path::new(sysroot.trim())
            .join("lib/rustlib/src/rust/library/core")
            .is_dir()
    })
}

/// Whether the system's compiler has a prebuilt `core` for BPF.
fn has_core() -> bool {
    let mut rustc = cargo::foreign(DEBIAN_RUSTC);
    let libdir = exec::capture(rustc.args(["--print", "target-libdir", "--target", TARGET]));
    let files = libdir
        .ok()
        .and_then(|dir| std::fs::read_dir(dir.trim()).ok());
    files
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// Whether the linker can read what this compiler writes.
fn readable(mut rustc: Command) -> bool {
    let version = exec::capture(rustc.arg("-vV"));
    version
        .is_ok_and(|version| llvm_major(&version).is_some_and(|major| major <= linker::LLVM_MAJOR))
}

/// The LLVM that `rustc -vV` names.
fn llvm_major(version: &str) -> Option<u32> {
    let llvm = version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))?;
    llvm.split('.').next()?.parse().ok()
}

fn rustup_run(toolchain: &str, program: &str) -> Command {
    let mut command = cargo::foreign("rustup");
    command.args(["run", toolchain, program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nightlies_are_picked_from_rustups_list() {
        let list = "stable-x86_64-unknown-linux-gnu (active, default)\nnightly-x86_64-unknown-linux-gnu\n\
                    nightly-2026-05-20-x86_64-unknown-linux-gnu (override)\n1.95.0-x86_64-unknown-linux-gnu\n";
        let expected = [
            "nightly-x86_64-unknown-linux-gnu",
            "nightly-2026-05-20-x86_64-unknown-linux-gnu",
        ];
        assert_eq!(nightlies(list).collect::<Vec<_>>(), expected);
        assert_eq!(nightlies("no installed toolchains\n").count(), 0);
    }

    #[test]
    fn the_compilers_llvm_is_read_from_its_version() {
        for (version, expected) in [
            (
                "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n",
                Some(22),
            ),
            ("LLVM version: 9\n", Some(9)),
            ("LLVM version: unknown\n", None),
            ("rustc 1.96.0\n", None),
        ] {
            assert_eq!(llvm_major(version), expected, "{version}");
        }
    }
}
