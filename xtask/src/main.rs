//! The project's own verbs: `cargo xtask <verb>`.
//!
//! A verb is one file with `Args` (where it has any) and `run`. It may install Debian packages and put tools into
//! the tool cache, and nothing else outside the target directory.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod api;
mod bench;
mod build;
mod cache;
mod cargo;
mod chart;
mod checks;
mod ci;
mod clients;
mod cluster;
mod cx;
mod demo;
mod ebpf;
mod exec;
mod fuzz;
mod helm;
mod image;
mod install;
mod interrupt;
mod kube;
mod lint;
mod profile;
mod programs;
mod runtime;
mod say;
mod sim;
mod test;
mod tier;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The verbs of this project"
)]
struct Cli {
    /// Install no Debian packages; say which are missing instead
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the BPF object and say what is in it
    BuildEbpf(profile::Args),
    /// Build the BPF object and the agent that carries it
    Build(profile::Args),
    /// Build the agent's image, without a container engine
    Image(image::Args),
    /// Show what bpf2iam does, on a node made for it
    Demo(demo::Args),
    /// Run the tests, tier by tier
    Test(test::Args),
    /// Measure what the agent costs, against a reference in the same run
    Bench(bench::Args),
    /// Simulate the agents of a large cluster against one STS
    Sim(sim::Args),
    /// Fuzz what reads the requests of pods
    Fuzz(fuzz::Args),
    /// Render the plain manifests from the Helm chart
    Chart,
    /// Run every check that is not a test
    Lint(lint::Args),
    /// Run real AWS clients in pods
    Clients,
    /// Run the tests that need a real API server
    Api(api::Args),
    /// Run the agent as it is shipped on a real cluster
    Cluster(cluster::Args),
    /// Run everything that a change must pass
    Ci,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let cx = exec::complete_path().and_then(|()| cx::Cx::new(cli.no_install.into()));
    match cx.and_then(|cx| dispatch(&cx, &cli.verb)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cx: &cx::Cx, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::BuildEbpf(args) => ebpf::run(cx, args),
        Verb::Build(args) => build::run(cx, args),
        Verb::Image(args) => image::run(cx, args),
        Verb::Demo(args) => demo::run(cx, args),
        Verb::Test(args) => test::run(cx, args),
        Verb::Bench(args) => bench::run(cx, args),
        Verb::Sim(args) => sim::run(cx, args),
        Verb::Fuzz(args) => fuzz::run(cx, args),
        Verb::Chart => chart::run(cx),
        Verb::Lint(args) => lint::run(cx, args),
        Verb::Clients => clients::run(cx),
        Verb::Api(args) => api::run(cx, args),
        Verb::Cluster(args) => cluster::run(cx, args),
        Verb::Ci => ci::run(cx),
    }
}
