//! `cargo xtask build`: the BPF object and the agent that carries it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

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
    let mut cargo = agent(cx, &object);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    let agent = cargo::binary(&mut cargo, "bpf2iam")?;
    Ok(Built { object, agent })
}

/// Builds an agent whose maps have another number, for tests of upgrades and rollbacks. It comes before [`all`], which then
/// puts the agent itself where this one was.
pub(crate) fn next_abi(cx: &Cx) -> Result<PathBuf> {
    let object = ebpf::object(cx, Profile::Dev)?;
    say::step("build an agent of the next ABI");
    let built = cargo::binary(agent(cx, &object).arg("--features=next-abi"), "bpf2iam")?;
    let kept = built.with_file_name("bpf2iam-next-abi");
    fs::copy(&built, &kept).with_context(|| kept.display().to_string())?;
    Ok(kept)
}

fn agent(cx: &Cx, object: &Path) -> Command {
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--package=bpf2iam"])
        .env("BPF2IAM_EBPF_OBJECT", object);
    cargo
}
