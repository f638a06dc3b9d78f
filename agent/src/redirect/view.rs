//! What can be told of the kernel side while it works, to whoever asks the agent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bpf2iam_ebpf::abi;

use super::{
    Counters, Error, Exempt, Owner, Pins, Us, WhenGone,
    lease::monotonic,
    pins::{self, Pinned},
    rules::Rules,
};

/// Looks at what is in the kernel, and changes nothing.
#[derive(Debug)]
pub struct View {
    pub(super) counters: Counters,
    pub(super) rules: Rules,
    pub(super) exempt: Exempt,
    pub(super) pins: Pins,
    pub(super) us: Us,
}

/// Whether the programs obey us, or did: from when they do, for good.
#[derive(Clone, Debug, Default)]
pub(super) struct Served(Arc<AtomicBool>);

/// Which of a node's agents this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The one that the programs obey.
    Serving,
    /// It has not taken over yet.
    Waiting,
    /// Another one has taken over from it.
    Displaced,
}

/// For how long the programs go on by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Until the lease ends; zero if it has.
    pub left: Duration,
    /// What they do then.
    pub when_gone: WhenGone,
}

impl Served {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl View {
    /// The layout of the maps that we know.
    pub const ABI: u32 = abi::VERSION;

    /// What the programs counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where our version pins.
    pub const fn pins(&self) -> &Pins {
        &self.pins
    }

    /// What is pinned there.
    pub fn pinned(&self) -> Result<Pinned, pins::Error> {
        self.pins.pinned()
    }

    /// Who reaches the real service.
    pub const fn exempt(&self) -> &Exempt {
        &self.exempt
    }

    /// Which agent this is.
    pub fn turn(&self) -> Result<Turn, Error> {
        let ours = Owner::of(&self.rules.config()?) == Some(self.us.owner);
        Ok(match (ours, self.us.served.0.load(Ordering::Relaxed)) {
            (true, _) => Turn::Serving,
            (false, false) => Turn::Waiting,
            (false, true) => Turn::Displaced,
        })
    }

    /// What is left of the lease, whoever renews it; none as long as no agent has begun to serve.
    pub fn remaining(&self) -> Result<Option<Remaining>, Error> {
        let config = self.rules.config()?;
        if Owner::of(&config).is_none() {
            return Ok(None);
        }
        let deadline = Duration::from_nanos(self.rules.deadline()?);
        Ok(Some(Remaining {
            left: deadline.saturating_sub(monotonic()),
            when_gone: WhenGone::of(config.on_expiry),
        }))
    }
}
