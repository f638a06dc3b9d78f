//! Many connections from many threads: does each get its own answer?

use std::{
    panic,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use bpf2iam_support::client::Tally;

use crate::{args::Args, trouble::Trouble};

use super::{score::Score, visit::Visit};

/// `hammer --threads N --connects ALL [--expect TEXT] [--path PATH] [--to ADDRESS]`
pub(super) fn run(args: &Args) -> Result<Tally, Trouble> {
    let threads: u32 = args.required("--threads")?;
    let connects: u64 = args.required("--connects")?;
    let visit = Visit::new(args)?;
    let made = AtomicU64::new(0);
    let mut all = Score::new();
    thread::scope(|scope| {
        let one = || {
            let mut score = Score::new();
            while made.fetch_add(1, Ordering::Relaxed) < connects {
                visit.make(&mut score);
            }
            score
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        for thread in running {
            all.add(
                thread
                    .join()
                    .unwrap_or_else(|panic| panic::resume_unwind(panic)),
            );
        }
    });
    Ok(all.tally())
}
