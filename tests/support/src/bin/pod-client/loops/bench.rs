//! What a `connect` costs.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bpf2iam_support::client::Tally;
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    args::Args,
    socket,
    trouble::{During as _, Trouble},
};

use super::score::Score;

/// `connect-bench --target ADDRESS --seconds N [--cpu N]`: connects and closes, on one CPU.
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let target: SocketAddr = args.required("--target")?;
    let duration = Duration::from_secs(args.required("--seconds")?);
    let mut cpus = CpuSet::new();
    cpus.set(args.optional("--cpu")?.unwrap_or(0));
    sched_setaffinity(None, &cpus).during("affinity")?;
    let mut score = Score::new();
    let start = Instant::now();
    while start.elapsed() < duration {
        match connect(&target) {
            Ok(took) => {
                score.connected(took);
                score.good();
            }
            Err(error) => score.failed(&error.into()),
        }
    }
    Ok(score.tally())
}

fn connect(target: &SocketAddr) -> rustix::io::Result<Duration> {
    let socket = socket::short_lived(target)?;
    let start = Instant::now();
    socket::connect(&socket, target)?;
    Ok(start.elapsed())
}
