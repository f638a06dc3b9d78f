//! What the agent tells the programs: where connects go, and until when they trust it.
//!
//! Whoever takes over writes the configuration that does not count, and switches by one word.

use std::fmt;

use aya::{
    Ebpf,
    maps::{Array, Map, MapData},
};
use bpf2iam_ebpf::abi;

use super::{
    Error,
    maps::{ACTIVE, CONFIG, LEASE, array, of},
    pins::Pins,
};

/// Tells them.
pub(super) struct Rules {
    lease: Array<MapData, abi::Lease>,
    active: Array<MapData, abi::Active>,
    config: Array<MapData, abi::Config>,
}

impl Rules {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        Ok(Self {
            lease: array(ebpf, LEASE)?,
            active: array(ebpf, ACTIVE)?,
            config: array(ebpf, CONFIG)?,
        })
    }

    /// Another handle to the same.
    pub(super) fn open(pins: &Pins) -> Result<Self, Error> {
        let map = |name| MapData::from_pin(pins.map(name)).map_err(of(name));
        let array = |name| map(name).map(Map::Array);
        Ok(Self {
            lease: array(LEASE)?.try_into().map_err(of(LEASE))?,
            active: array(ACTIVE)?.try_into().map_err(of(ACTIVE))?,
            config: array(CONFIG)?.try_into().map_err(of(CONFIG))?,
        })
    }

    /// From now on `config` counts, until `deadline_ns` of `CLOCK_MONOTONIC`, at once for every connect.
    pub(super) fn switch(&mut self, config: abi::Config, deadline_ns: u64) -> Result<(), Error> {
        let next = 1 - self.active()?;
        self.config.set(next, config, 0).map_err(of(CONFIG))?;
        self.set_lease(next, deadline_ns)?;
        let active = abi::Active { config: next };
        self.active.set(0, active, 0).map_err(of(ACTIVE))
    }

    /// The configuration that counts.
    pub(super) fn config(&self) -> Result<abi::Config, Error> {
        Ok(self.counting()?.1)
    }

    /// Forgets the configuration before the one that counts: its proxy has no clients any more.
    pub(super) fn forget_before(&mut self) -> Result<(), Error> {
        let (before, nothing) = (1 - self.active()?, abi::Config::default());
        self.config.set(before, nothing, 0).map_err(of(CONFIG))
    }

    /// The programs trust the agent that wrote the configuration that counts until `deadline_ns` of `CLOCK_MONOTONIC`, if
    /// `owner` is that agent. Says whether it is.
    pub(super) fn renew(&mut self, owner: u64, deadline_ns: u64) -> Result<bool, Error> {
        let (key, config) = self.counting()?;
        if config.owner != owner {
            return Ok(false);
        }
        // Should another one take over at this moment, its lease has another key; only after two does it have this one again.
        self.set_lease(key, deadline_ns)?;
        Ok(true)
    }

    /// Until when they trust that agent.
    pub(super) fn deadline(&self) -> Result<u64, Error> {
        let lease = self.lease.get(&self.active()?, 0);
        Ok(lease.map_err(of(LEASE))?.deadline_ns)
    }

    /// The configuration that counts, and its key. While it is read another one may come to count, and the first one be
    /// forgotten.
    fn counting(&self) -> Result<(u32, abi::Config), Error> {
        loop {
            let key = self.active()?;
            let config = self.config.get(&key, 0).map_err(of(CONFIG))?;
            if self.active()? == key {
                return Ok((key, config));
            }
        }
    }

    fn set_lease(&mut self, key: u32, deadline_ns: u64) -> Result<(), Error> {
        let lease = abi::Lease { deadline_ns };
        self.lease.set(key, lease, 0).map_err(of(LEASE))
    }

    /// The key of the configuration that counts.
    fn active(&self) -> Result<u32, Error> {
        let active = self.active.get(&0, 0).map_err(of(ACTIVE))?;
        Ok(active.config.min(1))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules")
    }
}
