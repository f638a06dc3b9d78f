//! The half of the agent that stands on the kernel: programs, cgroups, attestation.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    attest, cgroup,
    config::Config,
    drain,
    id::PodUid,
    redirect::{Attached, Conns, Exempt, Failing, Hold, Lock, Redirect, Whose, pins},
};

use super::{
    established,
    load::{Parts, find_own, load},
    turn::Turn,
};

/// How often the pods' cgroup is looked for while the kubelet has not made it. A pod's first container takes longer.
const LOOK: Duration = Duration::from_millis(100);
/// How often it is tried to attach while another agent does so, and how long after the last attempt.
const ATTEMPTS: u32 = 40;
const ATTEMPT: Duration = Duration::from_millis(50);

/// The programs, and where they will be attached.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) turn: Turn,
    redirect: Redirect,
    root: OwnedFd,
    root_path: PathBuf,
    kubepods: Option<PathBuf>,
    netns_dir: PathBuf,
    own: Option<cgroup::Own>,
}

impl Kernel {
    /// Loads the programs, with the maps that an agent before us has left. Nothing is attached yet.
    /// `root` is the mount of the cgroups, and its path.
    pub(super) fn load(
        config: &Config,
        turn: Turn,
        (root, root_path): (OwnedFd, PathBuf),
    ) -> anyhow::Result<(Self, Parts)> {
        let own = find_own(&root_path);
        let id = own.as_ref().map(cgroup::Own::id);
        let (redirect, parts) = load(config, &turn, id, root.as_fd())?;
        let kernel = Self {
            turn,
            redirect,
            root,
            root_path,
            kubepods: config.kubepods.clone(),
            netns_dir: config.netns_dir.clone(),
            own,
        };
        Ok((kernel, parts))
    }

    /// Takes away what other versions have attached, now that our programs are. Their agent, if one lives, sees it.
    pub(super) fn supersede(&self) -> anyhow::Result<()> {
        for dir in self.turn.pins().others()? {
            tracing::info!(dir = %dir.display(), "taking over from another version");
            pins::remove_version(&dir)?;
        }
        Ok(())
    }

    /// Takes away what an agent of another version has left beside our programs that died while it took over: it refuses those
    /// that ours let through.
    pub(super) fn supersede_dead(&mut self) -> anyhow::Result<()> {
        if self.turn.pins().others()?.is_empty() || !self.turn.begin_change()? {
            return Ok(());
        }
        let removed = if self.turn.another_version_lives() {
            Ok(())
        } else {
            self.supersede()
        };
        // What cannot be removed keeps no successor from starting.
        self.turn.let_others_start();
        removed
    }

    /// The root of the pods' cgroups. The kubelet makes it; before its first start there is none.
    pub(super) fn pods(&self) -> impl Future<Output = anyhow::Result<PathBuf>> + use<> {
        let (root, given) = (self.root_path.clone(), self.kubepods.clone());
        async move {
            let mut said = false;
            loop {
                if let Some(found) = cgroup::find_kubepods(&root, given.as_deref())? {
                    return Ok(found);
                }
                if !said {
                    let below = root.join(given.as_deref().unwrap_or(Path::new("")));
                    tracing::warn!(below = %below.display(), "no cgroup of pods yet (--kubepods); waiting for the kubelet");
                    said = true;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    /// Where a trial is made from, so that it is below `kubepods`: there; or, in a cgroup namespace of our own, from where
    /// the kernel lets no process be moved out, below our own cgroup.
    pub(super) fn ground(&self, kubepods: &Path) -> PathBuf {
        let own = self.own.as_ref().and_then(cgroup::Own::confined);
        let own = own.filter(|own| own.starts_with(kubepods));
        own.unwrap_or(kubepods).to_owned()
    }

    /// The pod below `kubepods` that the agent runs in.
    pub(super) fn own_pod(&self, kubepods: &Path) -> Option<PodUid> {
        self.own.as_ref()?.pod(kubepods)
    }

    /// Attests connections of the pods below `kubepods`, with what has to run for it. Once.
    pub(super) fn attest(
        &mut self,
        kubepods: PathBuf,
    ) -> anyhow::Result<(
        attest::Kernel,
        impl Future<Output = anyhow::Result<()>> + Send + 'static + use<>,
    )> {
        let tree = self.tree(kubepods)?;
        let conns: Conns = self.redirect.conns()?;
        let (attest, search) = attest::Kernel::new(conns, tree);
        Ok((attest, async move {
            search.await;
            Ok(())
        }))
    }

    fn tree(&self, kubepods: PathBuf) -> anyhow::Result<cgroup::Tree> {
        let root = self.root.try_clone();
        let root = root.context("cannot duplicate a descriptor")?;
        Ok(cgroup::Tree::new(root, self.root_path.clone(), kubepods))
    }

    /// Who reaches the real service.
    pub(super) fn exempt(&self) -> anyhow::Result<Exempt> {
        Ok(self.redirect.exempt_list()?)
    }

    /// Passes on what the programs log. Once.
    pub(super) fn logs(
        &mut self,
        drain: drain::Watch,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
        let logs = self.redirect.logs()?;
        Ok(async move { Ok(logs.run(drain).await?) })
    }

    /// Our programs run for the pods below `kubepods` from now on, all of them or none: in the place of those of the agent
    /// before us, whom they obey until we reign.
    pub(super) fn attach(&mut self, kubepods: &Path) -> anyhow::Result<Vec<Attached>> {
        self.attach_or(kubepods, Failing::Undo)
    }

    fn attach_or(&mut self, kubepods: &Path, failing: Failing) -> anyhow::Result<Vec<Attached>> {
        let attached = self.redirect.attach(kubepods, failing)?;
        if self.turn.serves_alone() {
            // What a dead agent has left there has no clients.
            self.redirect.forget_before()?;
            let pods = self.tree(kubepods.to_owned())?;
            let exempt = self.redirect.exempt_list()?.all()?.into_iter();
            let spared = exempt.map(|(cgroup, _)| cgroup).collect();
            established::cut(self.netns_dir.clone(), pods, spared);
        }
        Ok(attached)
    }

    /// When the agent before us has finished: nobody else is exempt, nobody connects to it any more, and another one may
    /// start. While another one starts, nothing is changed.
    pub(super) fn inherit(&mut self) -> anyhow::Result<()> {
        if self.turn.inherit()? {
            let own = self.own.as_ref().map(cgroup::Own::id);
            self.redirect
                .retain_exempt(|id, whose| whose == Whose::Pod || own == Some(id))?;
            self.redirect.forget_before()?;
            tracing::info!("the agent before us has ended");
        }
        self.turn.let_others_start();
        Ok(())
    }

    /// Keeps another agent from attaching meanwhile. One that does so at this moment takes some milliseconds, and is waited
    /// for; not for ever, as it may be suspended.
    pub(super) fn begin_attach(
        &self,
    ) -> impl Future<Output = anyhow::Result<Option<Lock>>> + use<> {
        let pins = self.turn.pins().clone();
        async move {
            for _ in 0..ATTEMPTS {
                if let Some(lock) = pins.begin_attach().context("cannot lock the links")? {
                    return Ok(Some(lock));
                }
                tokio::time::sleep(ATTEMPT).await;
            }
            Ok(None)
        }
    }

    /// Pins and attaches whatever is missing, for an agent that serves already, also while another one starts; as many
    /// programs as can be. `None` while that attaches, or when it serves.
    pub(super) fn mend(&mut self, kubepods: &Path) -> anyhow::Result<Option<Vec<Attached>>> {
        if !self.turn.is_obeyed()? {
            return Ok(None);
        }
        self.turn.restore()?;
        let Some(_attaching) = self.turn.pins().begin_attach()? else {
            return Ok(None);
        };
        // Another one may have taken over until we had the lock.
        if !self.turn.is_obeyed()? {
            return Ok(None);
        }
        self.redirect.pin_again()?;
        let attached = self.attach_or(kubepods, Failing::Keep)?;
        // One that died while it took over may have left its programs beside ours.
        if !self.turn.another_version_lives() {
            self.supersede()?;
        }
        Ok(Some(attached))
    }

    /// Whether all programs are still attached to the cgroup at `kubepods`.
    pub(super) fn hold(&self, kubepods: &Path) -> io::Result<Hold> {
        match cgroup::id_of(kubepods) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Hold::CgroupGone),
            id => self.redirect.hold(id?),
        }
    }

    /// Where the root of the pods' cgroups is now, if it was not said where it has to be.
    pub(super) fn find_pods(&self) -> anyhow::Result<Option<PathBuf>> {
        match &self.kubepods {
            Some(_given) => Ok(None),
            None => Ok(cgroup::find_kubepods(&self.root_path, None)?),
        }
    }
}
