//! The programs that a stage is set with: the agent, and from this workspace whatever stands around it.

use std::path::PathBuf;

use anyhow::Result;
use bpf2iam_support::{client::PodClient, stage::Programs};

use crate::{cargo, cx::Cx, profile::Profile, say};

/// What every stage needs besides the agent.
const PACKAGES: [&str; 3] = ["bpf2iam-standins", "bpf2iam-support", "bpf2iam-told-time"];

/// The programs on a stage, and the directory that cargo put them into.
pub(crate) struct Built {
    /// For [`bpf2iam_support::stage::Stage::set`].
    pub(crate) programs: Programs,
    directory: PathBuf,
}

impl Built {
    /// The program of one of the `more` packages.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Builds what `agent` is put on a stage with, and the programs of `more` packages.
pub(crate) fn around(agent: PathBuf, cx: &Cx, profile: Profile, more: &[&str]) -> Result<Built> {
    say::step("build the stand-ins and what tries the agent");
    let mut cargo = cargo::host(cx);
    cargo.arg("build");
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    for package in PACKAGES.iter().chain(more) {
        cargo.arg("--package").arg(package);
    }
    let client = cargo::binary(&mut cargo, "pod-client")?;
    let directory = client.parent().map(PathBuf::from).unwrap_or_default();
    let programs = Programs {
        agent,
        imds: directory.join("imds-standin"),
        sts: directory.join("sts-standin"),
        client: PodClient::at(client),
        told_time: directory.join("libtold_time.so"),
    };
    Ok(Built {
        programs,
        directory,
    })
}
