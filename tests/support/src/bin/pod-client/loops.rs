//! Attempts by the thousand, and the time that they take.

mod bench;
mod follow;
mod hammer;
mod load;
mod poison;
mod score;
mod victim;
mod visit;

use bpf2iam_support::client::Tally;

use crate::{
    args::Args,
    trouble::{self, Trouble},
};

/// Repeats something and counts.
type Loop = fn(&Args) -> Result<Tally, Trouble>;

/// By name.
const TABLE: [(&str, Loop); 6] = [
    ("hammer", hammer::run),
    ("follow", follow::run),
    ("load", load::run),
    ("victim", victim::run),
    ("poison", poison::run),
    ("connect-bench", bench::run),
];

/// What they are called.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

/// The tally of the loop that the command line names; none if there is no such loop.
pub(crate) fn run(args: &Args) -> Option<Result<String, Trouble>> {
    let (name, run) = TABLE.iter().find(|(name, _)| *name == args.attempt())?;
    let tally = run(args).and_then(|tally| {
        trouble::json(&Tally {
            attempt: (*name).to_owned(),
            ..tally
        })
    });
    Some(tally)
}
