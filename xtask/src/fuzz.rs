//! `cargo xtask fuzz`: the properties of `tests/properties`, with inputs that libFuzzer thinks of.
//!
//! `cargo fuzz` builds the targets; they are run from here, each from its seeds, from what was kept, and from what earlier
//! runs have found. Findings and what is new stay in the target directory: nothing in the source tree changes without
//! `--keep`.

use anyhow::{Result, ensure};
use clap::ValueEnum as _;

use crate::{cx::Cx, install, say};

use figures::Figures;
use target::Target;

mod build;
mod figures;
mod target;

/// libFuzzer is C++.
const NEEDS: [install::Package; 1] = [install::Package::program("g++", "c++")];

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which targets; all, if none is named
    target: Vec<Target>,
    /// How long each of them runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Afterwards, keep in tests/fuzz/corpus the fewest inputs that reach all that was ever reached
    #[arg(long)]
    keep: bool,
}

/// Runs each target, whatever the others found, and says how far it came; fails if any found something.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    install::debian(cx, &NEEDS)?;
    let targets = match args.target.as_slice() {
        [] => Target::value_variants(),
        named => named,
    };
    let programs = build::all(cx)?;
    let ran: Vec<_> = targets
        .iter()
        .map(|target| (*target, fuzz(cx, *target, &programs, args)))
        .collect();
    summary(&ran)
}

fn fuzz(cx: &Cx, target: Target, programs: &build::Programs, args: &Args) -> Result<Figures> {
    say::step(format!("fuzz: {target}, {} s", args.seconds));
    let places = target.places(cx, programs)?;
    let figures = places.run(args.seconds)?;
    if args.keep {
        places.keep()?;
    }
    Ok(figures)
}

/// Prints how each target went.
fn summary(ran: &[(Target, Result<Figures>)]) -> Result<()> {
    say::step("fuzz: summary");
    for (target, result) in ran {
        match result {
            Ok(figures) => say::line(format!("{target:9}{figures}")),
            Err(error) => say::line(format!("{target:9}FAILED: {error:#}")),
        }
    }
    let failed = ran.iter().filter(|(_, result)| result.is_err());
    let failed: Vec<_> = failed.map(|(target, _)| target.as_str()).collect();
    let passed = ran.len() - failed.len();
    say::line(format!("fuzz: {passed} passed, {} failed", failed.len()));
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}
