//! `cargo xtask build-ebpf`: the BPF object.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    cx::Cx,
    install,
    profile::{Args, Profile},
    say,
};

mod contents;
mod linker;
mod toolchain;

use toolchain::Toolchain;

/// The package, and the binary in it.
const PACKAGE: &str = "bpf2iam-ebpf";
/// Debug information is what BTF is made of.
const RUSTFLAGS: [&str; 2] = ["-Cdebuginfo=2", "-Clink-arg=--btf"];

/// Builds, and says where the object is and what it holds.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    let object = object(cx, args.profile())?;
    let bytes =
        std::fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
    let contents = contents::read(&bytes)
        .with_context(|| format!("{} is not a BPF object", object.display()))?;
    say::line(format!(
        "object    {} ({} bytes)",
        object.display(),
        bytes.len()
    ));
    say::line(contents.to_string());
    Ok(())
}

/// Builds the object, with everything that takes.
///
/// It has a target directory of its own, so that the host's build and this one do not wait for each other or throw
/// away each other's work.
pub(crate) fn object(cx: &Cx, profile: Profile) -> Result<PathBuf> {
    let (toolchain, linker) = tools(cx)?;
    say::step(format!("build the BPF object with {toolchain}"));
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&cx.root)
        .args(["build", "--package", PACKAGE, "--bin", PACKAGE]);
    cargo.arg("--profile").arg(if profile == Profile::Release {
        "ebpf"
    } else {
        "ebpf-dev"
    });
    cargo.arg("--target-dir").arg(cx.target_dir().join("ebpf"));
    cargo.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"));
    cargo::binary(&mut cargo, PACKAGE)
}

/// Finds the compiler and the linker. What is missing is asked for at once, so that the list is whole.
fn tools(cx: &Cx) -> Result<(Toolchain, PathBuf)> {
    let found = toolchain::find();
    let (mut missing, mut advice) = (Vec::new(), Vec::new());
    if found.is_none() {
        missing.extend(toolchain::PACKAGES);
        advice.push(toolchain::ADVICE);
    }
    if !linker::works(cx) {
        missing.extend(linker::package());
        advice.push(linker::ADVICE);
    }
    install::debian(cx, &missing).with_context(|| advice.join("\n"))?;
    let toolchain = found.or_else(toolchain::find).context(toolchain::ADVICE)?;
    Ok((toolchain, linker::ensure(cx)?))
}
