//! `cargo xtask clients`: real AWS clients, unmodified, in pods of a node without uplink.
//!
//! Each client asks STS who it is, once for each way to the metadata service, in all pods at once. Before the agent
//! starts all of them are the node, so that this can fail. With the agent each is its pod's role, and in a pod without
//! a role it ends as its makers meant it to. STS is moto's server.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use bpf2iam_support::{
    Options,
    client::PodClient,
    process::Process,
    stage::{Programs, Stage},
};
use rustix::process::geteuid;

use crate::{
    build::{self, Profile},
    cargo,
    cx::Cx,
    install, say,
};

mod cast;
mod client;
mod moto;
mod table;
mod transport;
mod venv;
mod verdict;

use cast::{Cast, Scene};
use client::Kit;
use table::Table;
use venv::Venv;

/// What the node is set up with, and one of the clients.
const NEEDS: [install::Package; 2] = [install::CURL, install::IPROUTE2];
/// How much of a program's log is shown after a failure.
const TAIL: usize = 20;

/// Runs every client.
pub(crate) fn run(cx: &Cx) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "only root can: sudo -E env \"PATH=$PATH\" cargo xtask clients"
    );
    install::debian(cx, &NEEDS)?;
    let venv = Venv::ensure(cx)?;
    let (programs, aws_config) = programs(cx)?;
    let kit = Kit {
        venv,
        scripts: cx.root.join("tests/clients"),
        aws_config,
    };
    play(programs, &kit)
}

/// Builds everything that is not Python.
fn programs(cx: &Cx) -> Result<(Programs, PathBuf)> {
    let agent = build::all(cx, Profile::Dev)?.agent;
    say::step("build what it is tried with");
    let mut cargo = cargo::host(cx);
    cargo.args(["build", "--bins"]);
    for package in [
        "bpf2iam-aws-config-client",
        "bpf2iam-standins",
        "bpf2iam-support",
    ] {
        cargo.arg("--package").arg(package);
    }
    let aws_config = cargo::binary(&mut cargo, "aws-config-client")?;
    let beside = |name: &str| aws_config.with_file_name(name);
    let programs = Programs {
        agent,
        imds: beside("imds-standin"),
        sts: beside("sts-standin"),
        client: PodClient::at(beside("pod-client")),
    };
    Ok((programs, aws_config))
}

/// The two scenes, on one stage.
fn play(programs: Programs, kit: &Kit) -> Result<()> {
    let mut stage = Stage::set(programs, Options::default(), &[])?;
    let moto = moto::instead_of_stand_in(&mut stage, &kit.venv)?;
    let cast = Cast::gather(&stage)?;
    let mut table = Table::default();
    say::step("without the agent: every client is the node");
    cast.play(kit, Scene::WithoutAgent, &mut table)?;
    say::step("with the agent: every client is its pod's role");
    let agent = stage.start_agent(&[])?;
    cast.play(kit, Scene::WithAgent, &mut table)?;
    if table.has_failures() {
        show("moto", &moto);
        show("bpf2iam", agent.process());
    }
    agent.stop()?;
    table.finish()
}

/// Shows the end of what a program has printed.
fn show(name: &str, process: &Process) {
    say::step(format!("what {name} said last"));
    let lines = process.lines();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        say::note(line);
    }
}
