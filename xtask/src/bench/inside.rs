//! Programs that measure from inside: they have the agent's library in them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

use crate::{cargo, cx::Cx, exec, say};

/// Builds one. The agent's library is built with the same `object`, so that nothing is built twice.
pub(super) fn build(cx: &Cx, object: Option<&Path>, name: &str) -> Result<PathBuf> {
    say::step(format!("build what measures: {name}"));
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--release", "--package=bpf2iam-bench", "--bench"])
        .arg(name);
    if let Some(object) = object {
        cargo.env("BPF2IAM_EBPF_OBJECT", object);
    }
    cargo::binary(&mut cargo, name)
}

/// Runs it, and reads its report.
pub(super) fn report<T: DeserializeOwned>(program: &Path) -> Result<T> {
    let said = exec::capture(&mut Command::new(program))?;
    serde_json::from_str(&said).with_context(|| said.clone())
}
