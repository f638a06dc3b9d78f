//! The Go toolchain that builds Kubernetes and Helm. Debian's is too old, and nothing here installs another.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{
    cx::Cx,
    runtime::{GO_ARCHIVE, Runtime, Version},
};

/// The oldest that their modules accept.
const GO: Runtime = Runtime {
    name: "Go",
    program: "go",
    says: "version",
    oldest: Version([1, 26, 6]),
    elsewhere: &[GO_ARCHIVE],
    package: None,
    advice: "it builds Kubernetes and Helm; see https://go.dev/doc/install",
};

/// The directory with a `go` that is new enough.
pub(crate) fn directory(cx: &Cx) -> Result<PathBuf> {
    let go = GO.find(cx)?;
    let directory = go.parent().context("a program lies in a directory")?;
    Ok(directory.to_owned())
}
