//! The program on the AWS SDK for Go. `go get -u && go mod tidy` renews the versions that its module fixes.

use std::{ffi::OsString, io, path::Path, process::Command};

use anyhow::Result;

use crate::{
    cx::Cx,
    exec,
    runtime::{GO_ARCHIVE, Runtime, Version},
};

use super::sources::Sources;

const FILES: [&str; 3] = ["go.mod", "go.sum", "main.go"];
const PROGRAM: &str = "whoami";

/// The oldest that the SDK is made for. Debian has one since its release 13.
const GO: Runtime = Runtime {
    name: "Go",
    program: "go",
    says: "version",
    oldest: Version([1, 24, 0]),
    elsewhere: &[GO_ARCHIVE, "/usr/bin/go"],
    package: Some("golang-go"),
    advice: "it builds the client in Go; see https://go.dev/doc/install",
};

/// A static program, of nothing but what the module names.
const BUILD: &str = "build -mod=readonly -trimpath -buildvcs=false -o";
const STATIC: [(&str, &str); 4] = [
    ("CGO_ENABLED", "0"),
    ("GOFLAGS", ""),
    ("GOTOOLCHAIN", "local"),
    ("GOWORK", "off"),
];

/// Its command line.
pub(crate) fn ensure(cx: &Cx) -> Result<Vec<OsString>> {
    let words = |directory: &Path| vec![directory.join(PROGRAM).into()];
    Sources::read(cx, "go", &FILES)?.built(cx, words, |directory| make(cx, directory))
}

fn make(cx: &Cx, directory: &Path) -> Result<()> {
    let mut go = Command::new(GO.find(cx)?);
    go.args(BUILD.split(' '))
        .arg(directory.join(PROGRAM))
        .arg(".");
    go.current_dir(directory).envs(STATIC);
    exec::run(go.stdout(io::stderr())) // no result of ours
}
