//! A client that keeps to one source port, so that an attacker knows which connection to aim at.

use bpf2iam_support::client::Tally;

use crate::{args::Args, trouble::Trouble};

use super::{score::Score, visit::Visit};

/// `victim --port PORT --count N [--expect TEXT] [--path PATH]`
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let count: u64 = args.required("--count")?;
    let visit = Visit::new(args)?.keeping_port(args.required("--port")?);
    let mut score = Score::new();
    for _ in 0..count {
        visit.make(&mut score);
    }
    Ok(score.tally())
}
