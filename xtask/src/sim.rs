//! `cargo xtask sim`: the agent's schedule and pace on all nodes of a large cluster, in simulated time.
//!
//! The program has the agent's library in it, without a BPF object: nothing there comes near a kernel.

use std::{ffi::OsString, process::Command};

use anyhow::Result;

use crate::{cargo, cx::Cx, exec, say};

/// What to simulate.
#[derive(clap::Args, Default)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What the simulation takes; --help says what that is
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENT"
    )]
    arguments: Vec<OsString>,
}

/// Builds it as fast as it can be, and runs it. It fails if a goal is missed.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    say::step("build the simulation");
    let mut cargo = cargo::host(cx);
    cargo.args(["build", "--release", "--package=bpf2iam-sim"]);
    let program = cargo::binary(&mut cargo, "bpf2iam-sim")?;
    exec::run(Command::new(program).args(&args.arguments))
}
