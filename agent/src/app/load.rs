//! Loads the kernel side, and makes room for the agent's own calls.

use std::{os::fd::BorrowedFd, path::Path};

use crate::{
    cgroup,
    config::Config,
    id::CgroupId,
    memory,
    redirect::{Redirect, View},
};

use super::{token_key::Kept, turn::Turn};

/// What of the kernel side the other half of the agent needs.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) view: View,
    pub(super) token_key: Kept,
}

/// Other agents, whose calls reach the real service too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Others<'a> {
    /// There is none.
    Gone,
    /// There may be some, in cgroups of this mount.
    Alive(BorrowedFd<'a>),
}

/// Loads the programs, and makes sure that our own calls reach the real service: they may be attached already.
pub(super) fn load(
    config: &Config,
    turn: &Turn,
    own: Option<CgroupId>,
    others: Others<'_>,
) -> anyhow::Result<(Redirect, Parts)> {
    let mut redirect = Redirect::load(
        config.log.level.into(),
        turn.pins().clone(),
        turn.us().clone(),
    )?;
    memory::give_back(); // loading takes MiB that nothing takes afterwards
    // Those that crashed are forgotten, or they would fill the map.
    redirect.retain_exempt(|id| match others {
        Others::Gone => own == Some(id),
        Others::Alive(root) => !cgroup::is_gone(root, id),
    })?;
    if let Some(own) = own {
        redirect.exempt(own)?;
    }
    let parts = Parts {
        view: redirect.view()?,
        token_key: Kept {
            ours: redirect.token_key()?,
            others: turn.pins().others()?,
        },
    };
    Ok((redirect, parts))
}

/// The cgroup that we are in, if it can be told.
pub(super) fn own_cgroup(root: &Path) -> Option<CgroupId> {
    let own = cgroup::own_cgroup(root);
    if own.is_none() {
        tracing::warn!(
            "the agent's own cgroup cannot be told (does it have a cgroup namespace of its own?): if it is below the \
             pods' cgroup, its own calls to the metadata service come back to it"
        );
    }
    own
}
