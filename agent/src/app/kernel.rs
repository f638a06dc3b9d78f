//! The half of the agent that stands on the kernel: programs, cgroups, attestation.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::{
    attest, cgroup,
    config::{Config, Lifetime},
    control::Standing,
    digest::Digest,
    drain,
    id::CgroupId,
    redirect::{Attached, Conns, Hold, Lock, Pins, Redirect, Target, pins, preflight},
};

use super::{
    doors::Bound,
    established,
    load::{Others, Parts, load, own_cgroup},
    turn::{clean_up, is_locked, is_other_locked, lock, turn, vacancy},
};

/// How often the pods' cgroup is looked for while the kubelet has not made it. A pod's first container takes longer.
const LOOK: Duration = Duration::from_millis(100);
/// How often the lease is renewed at least.
const RENEWAL: Duration = Duration::from_secs(1);
/// How often it is looked whether the agent before us lives.
const PULSE: Duration = Duration::from_millis(50);
/// How long an agent that was replaced may take to finish before another one may start all the same.
const HEIR: Duration = Duration::from_secs(30);

/// The programs, and where they will be attached.
#[derive(Debug)]
pub(super) struct Kernel {
    redirect: Redirect,
    pins: Pins,
    lifetime: Lifetime,
    root: OwnedFd,
    root_path: PathBuf,
    kubepods: Option<PathBuf>,
    netns_dir: PathBuf,
    own: Option<CgroupId>,
    /// Held until the programs obey us and the agent before us has finished: one agent starts at a time.
    starting: Option<Lock>,
    /// When the programs began to obey us.
    switched: Option<Instant>,
    /// Held by the agent that serves.
    serving: Option<Lock>,
    renewal: Option<Renewal>,
}

/// The task that renews the lease. It ends with this.
#[derive(Debug)]
struct Renewal(JoinHandle<()>);

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kernel {
    /// Checks this node and loads the programs, with the maps that an agent before us has left. Nothing is attached yet.
    pub(super) async fn prepare(config: &Config) -> anyhow::Result<(Self, Parts)> {
        preflight::check()?;
        let (root, root_path) = cgroup::open_root(&config.cgroup_root)?;
        let (pins, starting) = turn(&config.lifetime.pin_dir).await?;
        let serving = vacancy(&pins).await?;
        let own = own_cgroup(&root_path);
        let others = if serving.is_some() {
            Others::Gone
        } else {
            Others::Alive(root.as_fd())
        };
        let (redirect, parts) = match load(config, &pins, own, others) {
            Ok(loaded) => loaded,
            Err(error) => {
                clean_up(&pins, serving.is_some());
                return Err(error);
            }
        };
        let kernel = Self {
            redirect,
            pins,
            lifetime: config.lifetime.clone(),
            root,
            root_path,
            kubepods: config.kubepods.clone(),
            netns_dir: config.netns_dir.clone(),
            own,
            starting: Some(starting),
            switched: None,
            serving,
            renewal: None,
        };
        Ok((kernel, parts))
    }

    /// How we stand to the agent before us, if there is one, of our version or another one.
    pub(super) fn standing(&self) -> Standing {
        if self.serving.is_none() || self.is_superseded() {
            Standing::Successor
        } else {
            Standing::Alone
        }
    }

    /// Whether an agent of another version serves.
    pub(super) fn is_superseded(&self) -> bool {
        is_other_locked(&self.pins)
    }

    /// Takes away what other versions have attached, now that our programs are. Their agent, if one lives, sees it.
    pub(super) fn supersede(&self) -> anyhow::Result<()> {
        for dir in self.pins.others()? {
            tracing::info!(dir = %dir.display(), "taking over from another version");
            pins::remove_version(&dir)?;
        }
        Ok(())
    }

    /// Waits until the agent before us is gone, if there is one.
    pub(super) fn vacancy(&self) -> impl Future<Output = ()> + use<> {
        let (pins, ours) = (self.pins.clone(), self.serving.is_some());
        async move {
            while !ours && is_locked(pins.dir()) || is_other_locked(&pins) {
                tokio::time::sleep(PULSE).await;
            }
        }
    }

    /// Where programs are attached for which no agent answers any more, they obey us from now on: connects wait at our
    /// doors rather than being refused.
    pub(super) fn step_in(&mut self, bound: &Bound) -> anyhow::Result<()> {
        if self.serving.is_none() {
            self.serving = lock(self.pins.dir())?;
        }
        if self.serving.is_some() && self.switched.is_none() && self.pins.attached() {
            self.switch(bound)?;
        }
        Ok(())
    }

    /// From now on the programs obey us: connects go to where we listen.
    pub(super) fn switch(&mut self, bound: &Bound) -> anyhow::Result<()> {
        let mut target = Target {
            when_gone: self.lifetime.when_gone,
            ..Target::default()
        };
        for listener in &bound.listeners {
            match listener {
                SocketAddr::V4(v4) => target.ip4 = Some(*v4.ip()),
                SocketAddr::V6(v6) => target.ip6 = Some(*v6.ip()),
            }
            target.port = listener.port();
        }
        self.redirect.switch(target, self.lifetime.lease.get())?;
        self.switched = Some(Instant::now());
        self.renew()
    }

    /// Whether the programs obey us, or did.
    pub(super) const fn has_served(&self) -> bool {
        self.switched.is_some()
    }

    /// Whether the programs obeyed us, and obey another agent now.
    pub(super) fn is_displaced(&self) -> bool {
        self.switched.is_some() && !self.redirect.is_ours().unwrap_or(true)
    }

    /// Renews the lease from now on, until the programs obey another agent or this is dropped.
    fn renew(&mut self) -> anyhow::Result<()> {
        if self.renewal.is_some() {
            return Ok(());
        }
        let mut lease = self.redirect.lease()?;
        let (length, period) = (self.lifetime.lease.get(), self.period());
        let renew = async move {
            let warnings = Digest::default();
            loop {
                match lease.renew(length) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        if let Some(count) = warnings.add("renew") {
                            let error = anyhow::Error::from(error);
                            tracing::warn!(count, "cannot renew the lease: {error:#}");
                        }
                    }
                }
                tokio::time::sleep(period).await;
            }
        };
        self.renewal = Some(Renewal(tokio::spawn(renew)));
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
        if self.serving.is_some() && self.switched.is_some() {
            // What a dead agent has left there has no clients.
            self.redirect.forget_before()?;
            let pods = self.tree(kubepods.to_owned())?;
            established::cut(self.netns_dir.clone(), pods, self.own);
        }
        Ok(attached)
    }

    /// How often the lease is renewed.
    pub(super) fn period(&self) -> Duration {
        (self.lifetime.lease.get() / 10).min(RENEWAL)
    }

    /// When the agent before us has finished: nobody else is exempt, nobody connects to it any more, and another one may
    /// start. While another one starts, nothing is changed.
    pub(super) fn inherit(&mut self) -> anyhow::Result<()> {
        if self.serving.is_none()
            && self.begin_change()?
            && let Some(lock) = lock(self.pins.dir())?
        {
            self.serving = Some(lock);
            let own = self.own;
            self.redirect.retain_exempt(|id| own == Some(id))?;
            self.redirect.forget_before()?;
            tracing::info!("the agent before us has ended");
        }
        let waited = self.switched.is_some_and(|at| at.elapsed() > HEIR);
        if self.serving.is_some() || waited {
            self.starting = None;
        }
        Ok(())
    }

    /// Makes sure that no other agent starts while we change what is pinned, and that it is ours to be changed. If not,
    /// it says so, and it may be tried again.
    fn begin_change(&mut self) -> anyhow::Result<bool> {
        if self.starting.is_none() {
            self.starting = lock(self.pins.root())?;
        }
        Ok(self.starting.is_some() && self.redirect.is_ours()?)
    }

    /// As [`attach`](Self::attach), for an agent that serves already; `None` while another one starts.
    pub(super) fn attach_anew(&mut self, kubepods: &Path) -> anyhow::Result<Option<Vec<Attached>>> {
        if !self.begin_change()? {
            return Ok(None);
        }
        self.attach(kubepods).map(Some)
    }

    /// Another agent serves now, and knows by this that we have finished.
    pub(super) fn retire(&mut self) {
        self.serving = None;
    }

    /// Whether any agent serves, of our version or another one.
    pub(super) fn is_served(&self) -> bool {
        is_locked(self.pins.dir()) || self.is_superseded()
    }

    /// How long a node may be without an agent before that is not only a restart.
    pub(super) fn grace(&self) -> Duration {
        self.lifetime.lease.get() * 2
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
        if !self.begin_change()? || self.is_superseded() {
            return Ok(false);
        }
        pins::remove(self.pins.root())?;
        // What comes there next is another agent's.
        self.starting = None;
        Ok(true)
    }
}

impl Drop for Kernel {
    /// An agent that never attached anything leaves nothing behind.
    fn drop(&mut self) {
        if self.starting.is_some() {
            clean_up(&self.pins, self.serving.is_some());
        }
    }
}
