//! The `bpf2iam` command. It ends with 0 when all went well, with 1 when not, with 2 on wrong usage.

use std::{alloc::System, env, process::ExitCode};

use bpf2iam::{
    args::Args,
    command::{self, Ended},
    config, terminal,
};
use zeroizing_alloc::ZeroAlloc;

/// What is freed is wiped first: HTTP, TLS and the AWS SDK have copies of keys that only they know of.
#[global_allocator]
static WIPING: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let args = Args::of(env::args_os()).unwrap_or_else(|wrong| wrong.exit());
    match command::run(args.command) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Badly) => ExitCode::FAILURE,
        Err(error) => {
            terminal::complain(&format!("{error:#}"));
            ExitCode::from(if error.is::<config::Error>() { 2 } else { 1 })
        }
    }
}
