//! `cargo xtask clients`: real AWS clients, unmodified, in pods of a node without uplink.
//!
//! Each client asks STS who it is, once for each way to the metadata service, in all pods at once. Before the agent
//! starts all of them are the node, so that this can fail. With the agent each is its pod's role, and in a pod without
//! a role it ends as its makers meant it to. STS is moto's server. Once more each is its pod's role where that is the
//! role of its ServiceAccount, and STS was asked with the pod's token. Two of them run for a day, which is not noticed.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use bpf2iam_support::{
    Options,
    process::Process,
    stage::{Agent, Programs, Stage},
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
mod cluster;
mod day;
mod moto;
mod table;
mod transport;
mod venv;
mod verdict;
mod web_identity;

use cast::{Cast, Scene};
use client::Kit;
use cluster::Cluster;
use day::Clockwork;
use moto::Moto;
use table::Table;
use transport::Transport;
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
    let aws_config = aws_config(cx, &built)?;
    let kit = Kit {
        venv,
        scripts: cx.root.join("tests/clients"),
        aws_config_service: aws_config.with_file_name("aws-config-service"),
        aws_config,
    };
    let clockwork = Clockwork {
        library: kit.aws_config.with_file_name("libtold_time.so"),
        directory: cx.target_dir(),
    };
    let programs = programs::around(built.agent, cx, Profile::Dev, &[])?;
    let mut table = Table::default();
    let apiserver = programs.program("apiserver-standin");
    play(programs.programs.clone(), &apiserver, &kit, &mut table)?;
    day::play(&programs.programs, &kit, &clockwork, &mut table)?;
    table.finish()
}

/// Builds the clients in Rust, and the library that tells them the time, together with the agent, which is built
/// already: so they share the agent's dependencies, and with any others they would be built once more.
fn aws_config(cx: &Cx, built: &Built) -> Result<PathBuf> {
    say::step("build the programs on aws-config");
    let mut cargo = cargo::host(cx);
    cargo
        .args(["build", "--package=bpf2iam"])
        .args([
            "--package=bpf2iam-aws-config-client",
            "--package=bpf2iam-told-time",
        ])
        .env("BPF2IAM_EBPF_OBJECT", &built.object);
    cargo::binary(&mut cargo, "aws-config-client")
}

/// The scenes with every client, on one stage.
fn play(programs: Programs, apiserver: &Path, kit: &Kit, table: &mut Table) -> Result<()> {
    let mut stage = Stage::set(programs, Options::default(), &[])?;
    let moto = Moto::instead_of_stand_in(&mut stage, kit)?;
    let cast = Cast::gather(&stage)?;
    say::step("without the agent: every client is the node");
    cast.play(kit, Scene::WithoutAgent, &Transport::ALL, table)?;
    say::step("with the agent: every client is its pod's role");
    let agent = stage.start_agent(&[])?;
    cast.ask_for_keys()
        .inspect_err(|_| show_both(&agent, &moto))?;
    cast.play(kit, Scene::WithAgent, &Transport::ALL, table)?;
    end(agent, &moto, table)?;
    say::step("with a cluster: every client is the role of its pod's ServiceAccount");
    let cluster = Cluster::start(&stage, apiserver)?;
    moto.forget()?;
    let agent = stage.start_agent(&cluster::FLAGS)?;
    let cast = Cast::of_accounts(&stage, &cluster)?;
    agent
        .wait_for_keys_of(cast.len())
        .inspect_err(|_| show_both(&agent, &moto))?;
    cast.play(kit, Scene::WithAgent, &[Transport::Ipv4], table)?;
    cast.audit(&moto, table)?;
    end(agent, &moto, table)
}

/// Ends an agent.
fn end(agent: Agent, moto: &Moto, table: &Table) -> Result<()> {
    if table.has_failures() {
        show_both(&agent, moto);
    }
    agent.stop()?;
    Ok(())
}

/// Shows what there is to find out from the agent and STS.
fn show_both(agent: &Agent, moto: &Moto) {
    show("moto", moto.process());
    show("bpf2iam", agent.process());
}

/// Shows the end of what a program has printed.
fn show(name: &str, process: &Process) {
    say::step(format!("what {name} said last"));
    let lines = process.lines();
    for line in lines.iter().skip(lines.len().saturating_sub(TAIL)) {
        say::note(line);
    }
}
