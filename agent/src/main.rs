//! The `bpf2iam` command. It ends with 0 when all went well, with 1 when not, with 2 on wrong usage.

use std::{io, process::ExitCode};

use anyhow::Context as _;
use bpf2iam::{
    app,
    args::{Args, Command, Output, Status},
    clock::Clock,
    config::{Config, Machine},
    control, runtime, telemetry,
    terminal::{self, Colour},
};
use clap::Parser as _;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(args) => match Config::new(*args, Machine::observe()) {
            Ok(config) => run(config),
            Err(wrong) => fail(&wrong.into(), 2),
        },
        Command::Status(args) => match block_on(runtime::command(), status(&args)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, 1),
        },
    }
}

fn run(config: Config) -> ExitCode {
    let _log = match telemetry::init(config.log) {
        Ok(log) => log,
        Err(error) => return fail(&error.into(), 1),
    };
    let (version, workers) = (env!("CARGO_PKG_VERSION"), runtime::workers());
    tracing::info!(version, workers, settings = %config, "starting");
    if let Err(error) = block_on(runtime::agent(), app::run(config)) {
        tracing::error!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn status(args: &Status) -> anyhow::Result<()> {
    let status = control::Client::new(&args.runtime.dir).status().await?;
    let page = match args.output {
        Output::Json => status.to_json()?,
        Output::Text => status.to_text(Clock::system().now(), Colour::of(&io::stdout())),
    };
    terminal::print(&page).context("cannot write to standard output")
}

fn block_on(
    runtime: io::Result<Runtime>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    runtime.context("cannot start threads")?.block_on(work)
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    terminal::complain(&format!("{error:#}"));
    ExitCode::from(code)
}
