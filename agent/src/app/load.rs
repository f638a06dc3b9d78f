//! Loads the kernel side, and makes room for the agent's own calls.

use std::{os::fd::BorrowedFd, path::Path};

use crate::{
    cgroup,
    config::Config,
    control::Standing,
    id::CgroupId,
    memory,
    redirect::{self, Exempt, Redirect, View, Whose},
};

use super::{token_key::Kept, turn::Turn};

/// What of the kernel side the other half of the agent needs.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) view: View,
    pub(super) token_key: Kept,
}

/// Loads the programs, and makes sure that our own calls reach the real service: they may be attached already. `root` is the
/// mount of the cgroups.
pub(super) fn load(
    config: &Config,
    turn: &Turn,
    own: Option<CgroupId>,
    root: BorrowedFd<'_>,
) -> anyhow::Result<(Redirect, Parts)> {
    let mut redirect = Redirect::load(
        config.log.level.into(),
        turn.pins().clone(),
        turn.us().clone(),
    )?;
    memory::give_back(); // loading takes MiB that nothing takes afterwards
    // Agents that crashed are forgotten, and pods that are gone, or they would fill the map.
    let alone = turn.standing() == Standing::Alone;
    let keep = |id, whose| match whose {
        Whose::Agent if alone => own == Some(id),
        Whose::Agent | Whose::Pod => !cgroup::is_gone(root, id),
    };
    redirect.retain_exempt(keep)?;
    if let Some(own) = own {
        redirect.exempt(own, Whose::Agent)?;
    }
    for dir in turn.pins().others()? {
        if let Err(error) = share(&mut redirect, &dir, own, keep) {
            let error = anyhow::Error::from(error);
            tracing::warn!(dir = %dir.display(), "another version may keep us, or pods, from the metadata service: {error:#}");
        }
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

/// The programs of another version, whose pins are in `dir`, are in the way as well as ours: they let us through, and ours let
/// through whom they do, if that is to be kept.
fn share(
    redirect: &mut Redirect,
    dir: &Path,
    own: Option<CgroupId>,
    keep: impl Fn(CgroupId, Whose) -> bool,
) -> Result<(), redirect::Error> {
    let mut theirs = Exempt::of_version(dir)?;
    for (id, whose) in theirs.all()? {
        if keep(id, whose) {
            redirect.exempt(id, whose)?;
        }
    }
    if let Some(own) = own {
        theirs.add(own, Whose::Agent)?;
    }
    Ok(())
}

/// The cgroup that we are in, if it can be told.
pub(super) fn find_own(root: &Path) -> Option<cgroup::Own> {
    let own = cgroup::Own::find(root);
    if own.is_none() {
        tracing::warn!(
            "the agent's own cgroup is not below --cgroup-root (is that the node's cgroup2 mount?): if it is below the \
             pods' cgroup, its own calls to the metadata service come back to it"
        );
    }
    own
}
