//! For how long the programs trust an agent that is silent, and what they do then.

use std::{fmt, str::FromStr, time::Duration};

use bpf2iam_ebpf::abi::Config;

use crate::duration;

use super::{Error, Owner, Pins, Target, Us, maps, rules::Rules};

/// What the kernel does with connects to the metadata address when no agent renews its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum WhenGone {
    /// They fail.
    #[default]
    Deny,
    /// They reach the real service, as if there were no agent: with the node's role.
    Allow,
}

impl WhenGone {
    /// As the programs read it.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Deny => Config::DENY,
            Self::Allow => Config::ALLOW,
        }
    }

    /// What the programs make of it.
    pub(super) const fn of(code: u8) -> Self {
        match code {
            Config::ALLOW => Self::Allow,
            _ => Self::Deny,
        }
    }
}

/// How long a lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseLength(Duration);

/// A text that is no such length.
#[derive(Debug, thiserror::Error)]
#[error("a lease lasts from 1s to 1h")]
pub struct NoLeaseLength;

impl LeaseLength {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_hours(1);

    /// The length.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for LeaseLength {
    type Err = NoLeaseLength;

    fn from_str(text: &str) -> Result<Self, NoLeaseLength> {
        let length = duration::parse(text).map_err(|_not_one| NoLeaseLength)?;
        (Self::SHORTEST..=Self::LONGEST)
            .contains(&length)
            .then_some(Self(length))
            .ok_or(NoLeaseLength)
    }
}

impl fmt::Display for LeaseLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

/// Tells the programs that are pinned whom they obey, and for how long. It needs none of our own to be loaded.
#[derive(Debug)]
pub struct Lease {
    rules: Rules,
    us: Us,
}

impl Lease {
    /// What is pinned must be ours, and all of it be there.
    pub fn open(pins: &Pins, us: &Us) -> Result<Self, Error> {
        maps::check(pins)?;
        let (rules, us) = (Rules::open(pins)?, us.clone());
        Ok(Self { rules, us })
    }

    /// From now on connects go to `target`, at once for all of them, for as long as the lease is renewed.
    pub fn switch(&mut self, target: Target, length: Duration) -> Result<(), Error> {
        let config = target.config(self.us.owner);
        self.rules.switch(config, deadline(length))?;
        self.us.served.begin();
        Ok(())
    }

    /// The programs go on for so long, if they obey us. Says whether they do.
    pub fn renew(&mut self, length: Duration) -> Result<bool, Error> {
        self.rules.renew(self.us.owner.0, deadline(length))
    }

    /// Whether the programs obey us, and not an agent that came after us.
    pub fn is_ours(&self) -> Result<bool, Error> {
        Ok(Owner::of(&self.rules.config()?) == Some(self.us.owner))
    }
}

/// So much later than now, in nanoseconds of `CLOCK_MONOTONIC`.
pub(super) fn deadline(after: Duration) -> u64 {
    let deadline = monotonic().saturating_add(after).as_nanos();
    u64::try_from(deadline).unwrap_or(u64::MAX)
}

/// The time of the programs' clock.
pub(super) fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}
