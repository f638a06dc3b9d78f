//! The `bpf2iam` command. It ends with 0 when all went well, with 1 when not, with 2 on wrong usage.

use std::{alloc::System, env, io, process::ExitCode};

use anyhow::Context as _;
use bpf2iam::{
    app,
    args::{Args, Command},
    command,
    config::{self, Config, Machine},
    doctor::Verdict,
    dump, runtime, telemetry, terminal, trial,
};
use tokio::runtime::Runtime;
use zeroizing_alloc::ZeroAlloc;

/// What is freed is wiped first: HTTP, TLS and the AWS SDK have copies of keys that only they know of.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let args = Args::of(env::args_os()).unwrap_or_else(|wrong| wrong.exit());
    match args.command {
        Command::Run(args) => match Config::new(*args, Machine::observe()) {
            Ok(config) => run(config),
            Err(wrong) => fail(&wrong.into(), 2),
        },
        Command::Status(args) => look(command::status(&args)),
        Command::Explain(args) => look(command::explain(&args)),
        Command::Doctor(args) => examine(command::doctor(args)),
        Command::Ready(args) => look(command::ready(&args)),
        Command::Uninstall(args) => end(command::uninstall(&args)),
        Command::Trial(args) => end(trial::be_a_pod(&args.cgroup, args.address)),
    }
}

fn look(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    end(block_on(runtime::command(), command))
}

/// A problem is an end that is not good, but no error: all of it has been said.
fn examine(command: impl Future<Output = anyhow::Result<Verdict>>) -> ExitCode {
    match block_on(runtime::command(), command) {
        Ok(Verdict::Problem) => ExitCode::FAILURE,
        examined => end(examined.map(drop)),
    }
}

fn end(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<config::Error>() => fail(&error, 2),
        Err(error) => fail(&error, 1),
    }
}

fn run(config: Config) -> ExitCode {
    let _log = match telemetry::init(config.log) {
        Ok(log) => log,
        Err(error) => return fail(&error.into(), 1),
    };
    if let Err(error) = dump::forbid() {
        tracing::warn!("{:#}", anyhow::Error::from(error));
    }
    let (version, workers) = (env!("CARGO_PKG_VERSION"), runtime::workers());
    tracing::info!(version, workers, settings = %config, "starting");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Err(error) = block_on(runtime::agent(), app::run(config)) {
        tracing::error!("{error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn block_on<T>(
    runtime: io::Result<Runtime>,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = runtime.context("cannot start threads")?;
    let ended = runtime.block_on(work);
    // A thread may wait for a plugin of a kubeconfig that hangs.
    runtime.shutdown_background();
    ended
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    terminal::complain(&format!("{error:#}"));
    ExitCode::from(code)
}
