//! What outlives the agent, and for how long it does what.

use std::path::{Path, PathBuf};

use crate::{
    args,
    redirect::{LeaseLength, WhenGone},
};

use super::{Error, word};

/// What outlives the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Where maps and links are pinned: an absolute path.
    pub pin_dir: PathBuf,
    /// For how long the kernel trusts an agent that is silent.
    pub lease: LeaseLength,
    /// What it does after that.
    pub when_gone: WhenGone,
}

impl Lifetime {
    pub(super) fn new(args: &args::Lifetime) -> Result<Self, Error> {
        Ok(Self {
            pin_dir: pin_dir(&args.pin_dir.path)?,
            lease: args.lease,
            when_gone: args.when_agent_gone,
        })
    }

    pub(super) fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("pin-dir", self.pin_dir.display().to_string()),
            ("lease", self.lease.to_string()),
            ("when-agent-gone", word(&self.when_gone)),
        ]
    }
}

/// Where pins are, if it can be there.
pub fn pin_dir(path: &Path) -> Result<PathBuf, Error> {
    if path.is_absolute() && path.parent().is_some() {
        Ok(path.to_owned())
    } else {
        Err(Error::PinDir(path.to_owned()))
    }
}
