//! What outlives the agent, and for how long it does what.

use std::path::{Path, PathBuf};

use crate::{
    args::{self, Switch},
    kubernetes::daemon_set::Name,
    redirect::{LeaseLength, WhenGone},
};

use super::{Error, Pods, given, or, word};

/// What outlives the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Where maps and links are pinned: an absolute path.
    pub pin_dir: PathBuf,
    /// For how long the kernel trusts an agent that is silent.
    pub lease: LeaseLength,
    /// What it does after that.
    pub when_gone: WhenGone,
    /// Whose end is the end of all of it.
    pub daemon_set: Option<Name>,
    /// Whether this node's startup taint is taken away.
    pub startup_taint: Switch,
}

impl Lifetime {
    pub(super) fn new(args: &args::Lifetime, pods: &Pods) -> Result<Self, Error> {
        let daemon_set = given(args.daemon_set.clone()).map(|name| name.parse::<Name>());
        let daemon_set = daemon_set.transpose().map_err(Error::DaemonSet)?;
        if let (Some(name), Pods::Files(_)) = (&daemon_set, pods) {
            return Err(Error::NoDaemonSets(name.clone()));
        }
        let startup_taint = args.startup_taint.unwrap_or_default();
        if startup_taint.is_on() && matches!(pods, Pods::Files(_)) {
            return Err(Error::NoNode);
        }
        Ok(Self {
            daemon_set,
            startup_taint,
            pin_dir: pin_dir(&args.pin_dir.path)?,
            lease: args.lease,
            when_gone: args.when_agent_gone,
        })
    }

    pub(super) fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("pin-dir", self.pin_dir.display().to_string()),
            ("lease", self.lease.to_string()),
            ("when-agent-gone", word(&self.when_gone)),
            ("daemon-set", or(self.daemon_set.as_ref(), "(none)")),
            ("startup-taint", self.startup_taint.is_on().to_string()),
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
