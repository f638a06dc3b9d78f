//! The program on the AWS SDK for JavaScript. `npm install --package-lock-only --omit-lockfile-registry-resolved`
//! renews the versions that its lock file fixes.

use std::{ffi::OsString, io, path::Path, process::Command};

use anyhow::Result;

use crate::{
    cx::Cx,
    exec,
    install::{self, Package},
    runtime::{Runtime, Version},
};

use super::sources::Sources;

const FILES: [&str; 3] = ["package.json", "package-lock.json", "whoami.js"];

/// The oldest that runs the SDK, and what Debian 12 has. Its makers want 20.
const NODE: Runtime = Runtime {
    name: "Node.js",
    program: "node",
    says: "--version",
    oldest: Version([18, 0, 0]),
    elsewhere: &["/usr/bin/node"],
    package: Some("nodejs"),
    advice: "it runs the client in JavaScript; see https://nodejs.org",
};
const NPM: Package = Package::program("npm", "npm");

/// No package runs a program of its own while it is installed.
const INSTALL: &str =
    "ci --omit=dev --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error";

/// Its command line.
pub(super) fn ensure(cx: &Cx) -> Result<Vec<OsString>> {
    let node = NODE.find(cx)?;
    let words = |directory: &Path| vec![node.clone().into(), directory.join("whoami.js").into()];
    Sources::read(cx, "javascript", &FILES)?.built(cx, words, |directory| make(cx, directory))
}

fn make(cx: &Cx, directory: &Path) -> Result<()> {
    install::debian(cx, &[NPM])?;
    let mut npm = Command::new("npm");
    npm.args(INSTALL.split(' ')).current_dir(directory);
    exec::run(npm.stdout(io::stderr())) // no result of ours
}
