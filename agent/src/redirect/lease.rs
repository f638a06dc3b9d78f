//! For how long the programs trust an agent that is silent, and what they do then.

use std::{fmt, str::FromStr, time::Duration};

use bpf2iam_ebpf::abi::Config;

use crate::duration;

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
