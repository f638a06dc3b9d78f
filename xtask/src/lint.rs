//! `cargo xtask lint`: everything that is judged without running the project.

use std::process::Command;

use anyhow::Result;

use crate::{cargo, checks::Checks, cx::Cx, exec};

mod chart;
mod deny;
mod layout;
mod size;
mod sources;

/// What to check besides the usual.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Also ask the advisory database, which takes a network
    #[arg(long)]
    advisories: bool,
}

/// Runs every check, the quick ones first.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    let mut checks = Checks::default();
    checks.check("format", || fmt(cx));
    checks.check("size", || size::check(cx));
    checks.check("layout", || layout::check(cx));
    checks.check("chart", || chart::check(cx));
    checks.check("dependencies", || deny::check(cx));
    if args.advisories {
        checks.check("advisories", || deny::advisories(cx));
    }
    checks.check("clippy", || clippy(cx));
    checks.check("docs", || docs(cx));
    checks.finish()
}

fn fmt(cx: &Cx) -> Result<()> {
    exec::run(&mut cargo(cx, "fmt --all -- --check"))?;
    // A workspace of its own.
    let line = "fmt --manifest-path=tests/fuzz/Cargo.toml -- --check";
    exec::run(&mut cargo(cx, line))
}

fn clippy(cx: &Cx) -> Result<()> {
    let line = "clippy --keep-going --workspace --all-targets -- -D warnings";
    exec::run(&mut cargo(cx, line))
}

fn docs(cx: &Cx) -> Result<()> {
    let line = "doc --keep-going --workspace --no-deps --document-private-items";
    exec::run(cargo(cx, line).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Cargo with the words of a command line.
fn cargo(cx: &Cx, line: &str) -> Command {
    let mut cargo = cargo::host(cx);
    cargo.args(line.split(' '));
    cargo
}
