//! `cargo xtask build`: the BPF object and the agent that carries it.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    cargo,
    cx::Cx,
    ebpf,
    profile::{Args, Profile},
    say,
};

/// What a build leaves behind.
pub(crate) struct Built {
    /// The BPF object.
    pub(crate) object: PathBuf,
    /// The agent, with that object in it.
    pub(crate) agent: PathBuf,
}

/// Builds, and says where the agent is.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    let built = all(cx, args.profile())?;
    say::line(format!("agent     {}", built.agent.display()));
    Ok(())
}

/// Builds the object and the agent.
pub(crate) fn all(cx: &Cx, profile: Profile) -> Result<Built> {
    let object = ebpf::object(cx, profile)?;
    say::step("build the agent");
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--package=bpf2iam"])
        .env("BPF2IAM_EBPF_OBJECT", &object);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let agent = cargo::binary(&mut cargo, "bpf2iam")?;
    Ok(Built { object, agent })
}
