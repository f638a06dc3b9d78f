//! The programs of the story, built.

use std::path::Path;

use anyhow::{Context as _, Result};
use bpf2iam_support::{client::PodClient, stage::Programs};

use crate::{
    build::{self, Profile},
    cargo,
    cx::Cx,
    say,
};

/// Builds the agent, the stand-ins and the client.
pub(super) fn build(cx: &Cx) -> Result<Programs> {
    let agent = build::all(cx, Profile::Dev)?.agent;
    say::step("build the stand-ins for the metadata service and STS");
    let mut cargo = cargo::host(cx);
    cargo.args(["build", "--bins"]);
    cargo.args(["--package=bpf2iam-standins", "--package=bpf2iam-support"]);
    let imds = cargo::binary(&mut cargo, "imds-standin")?;
    let directory = imds.parent().context("a binary is in a directory")?;
    Ok(of(agent.as_path(), directory))
}

fn of(agent: &Path, directory: &Path) -> Programs {
    Programs {
        agent: agent.into(),
        imds: directory.join("imds-standin"),
        sts: directory.join("sts-standin"),
        client: PodClient::at(directory.join("pod-client")),
    }
}
