//! What the programs log, for debugging: it comes through a ring buffer and goes where everything else is logged.

#![expect(unsafe_code, reason = "tokio trusts a descriptor only on our word")]

use std::{fmt, io};

use aya::Ebpf;
use aya_log::{EbpfLogger, Level};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task,
};
use tracing::level_filters::LevelFilter;

use crate::drain;

use super::Error;

/// The level above which the verifier removes the programs' log calls.
pub(super) fn level(filter: LevelFilter) -> u8 {
    match filter.into_level() {
        None => 0,
        Some(tracing::Level::ERROR) => Level::Error as u8,
        Some(tracing::Level::WARN) => Level::Warn as u8,
        Some(tracing::Level::INFO) => Level::Info as u8,
        Some(tracing::Level::DEBUG) => Level::Debug as u8,
        Some(tracing::Level::TRACE) => Level::Trace as u8,
    }
}

/// Reads the programs' log.
pub struct Logs(EbpfLogger<&'static dyn log::Log>);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Logs {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        EbpfLogger::init(ebpf)
            .map(Self)
            .map_err(|error| Error::Logs(Box::new(error)))
    }

    /// Passes on what the programs log, until the end. Takes a runtime with several threads.
    pub async fn run(self, mut drain: drain::Watch) -> io::Result<()> {
        // SAFETY: the logger owns the ring buffer's map, whose descriptor stays the same and open until it is dropped.
        let mut logs = unsafe { AsyncFd::register_with_interest(self.0, Interest::READABLE) }?;
        loop {
            let mut readable = tokio::select! {
                readable = logs.readable_mut() => readable?,
                () = drain.signaled() => return Ok(()),
            };
            // It ends when nothing more comes. While it does not, the other tasks go on elsewhere.
            task::block_in_place(|| readable.get_inner_mut().flush());
            readable.clear_ready();
        }
    }
}
