//! The programs of the story, built.

use anyhow::Result;
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
    say::step("build the stand-ins and what runs in pods");
    let mut cargo = cargo::host(cx);
    cargo.args(["build", "--bins"]);
    cargo.args(["--package=bpf2iam-standins", "--package=bpf2iam-support"]);
    let imds = cargo::binary(&mut cargo, "imds-standin")?;
    Ok(Programs {
        agent,
        sts: imds.with_file_name("sts-standin"),
        client: PodClient::at(imds.with_file_name("pod-client")),
        imds,
    })
}
