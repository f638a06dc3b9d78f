//! An image with clients: a shell, curl, and programs on AWS SDKs as their makers ship them.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{build::Built, clients::kit, cx::Cx, exec, kube::Cluster, programs};

/// What the tests call it.
const IMAGE: &str = "local/clients:1";
/// The program on the AWS SDK for Go in it: static, and of a name that busybox has too.
const GO: &str = ":/clients/whoami";
/// What the one in Rust looks for before anything else, and where.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt";

/// What is in it.
pub(super) struct Clients {
    go: PathBuf,
    rust: PathBuf,
}

impl Clients {
    /// Builds what is missing.
    pub(super) fn ensure(cx: &Cx, built: &Built) -> Result<Self> {
        let go = kit::go::ensure(cx).context("the client in Go")?;
        let go = go.first().context("a program").map(PathBuf::from)?;
        Ok(Self {
            go,
            rust: kit::aws_config(cx, built)?,
        })
    }

    /// Loads it into the node.
    pub(super) fn load(&self, cluster: &Cluster, standins: &programs::Built) -> Result<()> {
        let mut image = cluster.script("image.sh");
        // coreutils' date tells nanoseconds; busybox leaves alone what is there already.
        image.args([
            IMAGE,
            "/bin/sh",
            "--",
            "+date",
            "+curl",
            "busybox",
            CERTIFICATES,
        ]);
        image.arg(joined(&[self.go.as_os_str(), GO.as_ref()]));
        for program in [&self.rust, &standins.program("pod-client")] {
            image.arg(joined(&["+".as_ref(), program.as_os_str()]));
        }
        exec::capture(&mut image).map(drop)
    }
}

fn joined(parts: &[&std::ffi::OsStr]) -> OsString {
    parts.iter().copied().collect()
}
