//! The threads that everything runs on.

use std::{io, num::NonZero, thread};

use tokio::runtime::{Builder, Runtime};

/// More threads than this find nothing to do: one answers some ten thousand requests a second, and a pod asks once
/// in an hour. Each takes memory, on a node with a hundred cores more than all the rest.
const MAX_WORKERS: usize = 4;

/// How many threads the agent works with: as many as there are cores that it may use, up to a bound.
pub fn workers() -> usize {
    thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(MAX_WORKERS)
}

/// For the agent.
pub fn agent() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers())
        .enable_all()
        .build()
}

/// For a command that asks something and ends: the thread that is there already.
pub fn command() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
