//! `cargo xtask clients`: real AWS clients, unmodified, in pods of a node without uplink.
//!
//! Each client asks STS who it is, once for each way to the metadata service, in all pods at once. Before the agent
//! starts all of them are the node, so that this can fail. With the agent each is its pod's role, and in a pod without
//! a role it ends as its makers meant it to. STS is moto's server.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use bpf2iam_support::{
    Options,
    process::Process,
    stage::{Programs, Stage},
};
use rustix::process::geteuid;

use crate::{
    build::{self, Built},
    cargo,
    cx::Cx,
    install,
    profile::Profile,
    programs, say,
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
    let built = build::all(cx, Profile::Dev)?;
    let kit = Kit {
        venv,
        scripts: cx.root.join("tests/clients"),
        aws_config: aws_config(cx, &built)?,
    };
    let programs = programs::around(built.agent, cx, Profile::Dev, &[])?.programs;
    play(programs, &kit)
}

/// Builds the client in Rust together with the agent, which is built already: so it shares the agent's dependencies,
/// and with any others they would be built once more.
fn aws_config(cx: &Cx, built: &Built) -> Result<PathBuf> {
    say::step("build the program on aws-config");
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--package=bpf2iam"])
        .arg("--package=bpf2iam-aws-config-client")
        .env("BPF2IAM_EBPF_OBJECT", &built.object);
    cargo::binary(&mut cargo, "aws-config-client")
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
    agent.wait_for_keys()?; // on a busy machine this takes longer than a client waits
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
