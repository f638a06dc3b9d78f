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
    control::Standing,
    drain,
    id::CgroupId,
    redirect::{Attached, Conns, Hold, Lock, Redirect, pins},
};

use super::{
    established,
    load::{Others, Parts, load, own_cgroup},
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
    own: Option<CgroupId>,
}

impl Kernel {
    /// Loads the programs, with the maps that an agent before us has left. Nothing is attached yet.
    /// `root` is the mount of the cgroups, and its path.
    pub(super) fn load(
        config: &Config,
        turn: Turn,
        (root, root_path): (OwnedFd, PathBuf),
    ) -> anyhow::Result<(Self, Parts)> {
        let own = own_cgroup(&root_path);
        let others = match turn.standing() {
            Standing::Alone => Others::Gone,
            Standing::Successor => Others::Alive(root.as_fd()),
        };
        let (redirect, parts) = load(config, &turn, own, others)?;
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

    /// Passes on what the programs log. Once.
    pub(super) fn logs(
        &mut self,
        drain: drain::Watch,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
        let logs = self.redirect.logs()?;
        Ok(async move { Ok(logs.run(drain).await?) })
    }

    /// From now on connects of the pods below `kubepods` come to the proxy, also those that another agent's programs sent
    /// to its own.
    pub(super) fn attach(&mut self, kubepods: &Path) -> anyhow::Result<Vec<Attached>> {
        let attached = self.redirect.attach(kubepods)?;
        if self.turn.serves_alone() {
            // What a dead agent has left there has no clients.
            self.redirect.forget_before()?;
            let pods = self.tree(kubepods.to_owned())?;
            established::cut(self.netns_dir.clone(), pods, self.own);
        }
        Ok(attached)
    }

    /// When the agent before us has finished: nobody else is exempt, nobody connects to it any more, and another one may
    /// start. While another one starts, nothing is changed.
    pub(super) fn inherit(&mut self) -> anyhow::Result<()> {
        if self.turn.inherit()? {
            let own = self.own;
            self.redirect.retain_exempt(|id| own == Some(id))?;
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

    /// As [`attach`](Self::attach), for an agent that serves already, also while another one starts; `None` while that
    /// attaches, or when it serves.
    pub(super) fn attach_anew(&mut self, kubepods: &Path) -> anyhow::Result<Option<Vec<Attached>>> {
        let Some(_attaching) = self.turn.pins().begin_attach()? else {
            return Ok(None);
        };
        if !self.turn.is_obeyed()? {
            return Ok(None);
        }
        self.attach(kubepods).map(Some)
    }

    /// Whether all programs are still attached to the cgroup at `kubepods`.
    pub(super) fn hold(&self, kubepods: &Path) -> io::Result<Hold> {
        match cgroup::id_of(kubepods) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Hold::CgroupGone),
            id => self.redirect.hold(id?),
        }
    }

    /// Takes away everything that we have pinned: from now on pods reach the real service. Not what belongs to another
    /// agent, that starts or serves: then it says false.
    pub(super) fn remove(mut self) -> anyhow::Result<bool> {
        if !self.turn.begin_change()? || self.turn.is_superseded() {
            return Ok(false);
        }
        pins::remove(self.turn.pins().root())?;
        self.turn.is_over();
        Ok(true)
    }
}
