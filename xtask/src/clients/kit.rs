//! What the clients are made of: installed or built once, with the clients' ordinary tools, and kept in the tool cache.
//! In the pods there is no network to fetch anything from.

use std::{ffi::OsString, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{build::Built, cargo, cx::Cx, say};

use super::venv::Venv;

mod aws_cli;
pub(crate) mod go;
mod java;
mod javascript;
mod sources;

use sources::DIRECTORY;

/// What the clients are made of.
pub(super) struct Kit {
    /// boto3, aiobotocore, the AWS CLI v1, and moto.
    pub(super) venv: Venv,
    /// The directory of the scripts.
    pub(super) scripts: PathBuf,
    /// The program on the AWS SDK for Rust.
    pub(super) aws_config: PathBuf,
    /// The one of them that runs for long.
    pub(super) aws_config_service: PathBuf,
    /// The command line of the program on the AWS SDK for JavaScript.
    pub(super) javascript: Vec<OsString>,
    /// On the one for Go.
    pub(super) go: Vec<OsString>,
    /// On the one for Java.
    pub(super) java: Vec<OsString>,
}

impl Kit {
    /// Makes what is missing. A client that cannot be had is an error.
    pub(super) fn ensure(cx: &Cx, built: &Built) -> Result<Self> {
        aws_cli::ensure(cx).context("the AWS CLI v2")?;
        let venv = Venv::ensure(cx)?;
        let javascript = javascript::ensure(cx).context("the client in JavaScript")?;
        let go = go::ensure(cx).context("the client in Go")?;
        let java = java::ensure(cx).context("the client in Java")?;
        let aws_config = aws_config(cx, built)?;
        Ok(Self {
            venv,
            scripts: cx.root.join(DIRECTORY),
            aws_config_service: aws_config.with_file_name("aws-config-service"),
            aws_config,
            javascript,
            go,
            java,
        })
    }
}

/// Builds the clients in Rust together with the agent, which is built already: so they share the agent's dependencies, and
/// with any others they would be built once more.
pub(crate) fn aws_config(cx: &Cx, built: &Built) -> Result<PathBuf> {
    say::step("build the programs on aws-config");
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--package=bpf2iam"])
        .arg("--package=bpf2iam-aws-config-client")
        .env("BPF2IAM_EBPF_OBJECT", &built.object);
    cargo::binary(&mut cargo, "aws-config-client")
}
