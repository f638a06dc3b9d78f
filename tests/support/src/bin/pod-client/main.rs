//! What an application or an attacker in a pod does, one attempt a run. `pod-client list` names them all.
//!
//! Prints one line of JSON, a [`Report`](bpf2iam_support::client::Report), a
//! [`Tally`](bpf2iam_support::client::Tally), [`Sequences`](bpf2iam_support::client::Sequences) or
//! [`Spells`](bpf2iam_support::client::Spells). Does nothing at all in the machine's own network namespace.

#![deny(unsafe_code)]

mod args;
mod errno;
mod exchange;
mod guard;
mod http;
mod relay;
mod sequence;
mod siege;
mod socket;
mod trouble;

mod attempts;
mod loops;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use args::Args;
use trouble::Trouble;

fn main() -> ExitCode {
    let ended = run();
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    let (code, written) = match ended {
        Ok(report) => (ExitCode::SUCCESS, writeln!(stdout, "{report}")),
        Err(trouble) => (ExitCode::FAILURE, writeln!(stderr, "pod-client: {trouble}")),
    };
    match written {
        Ok(()) => code,
        Err(_closed) => ExitCode::FAILURE,
    }
}

/// Tells whoever started this program how far it is.
fn say(what: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{what}")
}

fn run() -> Result<String, Trouble> {
    let args = Args::parse(env::args().skip(1))?;
    if matches!(args.attempt(), "" | "list") {
        return Ok(attempts::names()
            .chain(loops::names())
            .chain([sequence::NAME, siege::NAME, relay::NAME])
            .collect::<Vec<_>>()
            .join("\n"));
    }
    guard::refuse_the_machines_network()?;
    attempts::run(&args)
        .or_else(|| loops::run(&args))
        .or_else(|| sequence::run(&args))
        .or_else(|| siege::run(&args))
        .or_else(|| relay::run(&args))
        .unwrap_or_else(|| {
            Err(Trouble::Usage(format!(
                "no attempt is called {}",
                args.attempt()
            )))
        })
}
