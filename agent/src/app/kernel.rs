//! The half of the agent that stands on the kernel: programs, cgroups, attestation.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::{
    attest, cgroup,
    config::{Config, Lifetime},
    control::Standing,
    drain,
    id::CgroupId,
    memory,
    redirect::{Attached, Conns, Counters, Hold, Lock, Pins, Redirect, Target, pins, preflight},
};

use super::{doors::Bound, token_key::Kept};

/// How often the pods' cgroup is looked for while the kubelet has not made it.
const LOOK: Duration = Duration::from_secs(1);
/// How long an agent that was replaced may take to finish before another one may start all the same.
const HEIR: Duration = Duration::from_secs(30);
/// How often it is tried to be the agent that starts, while another one does.
const TURN: Duration = Duration::from_millis(50);

/// The programs, and where they will be attached.
#[derive(Debug)]
pub(super) struct Kernel {
    redirect: Redirect,
    pins: Pins,
    lifetime: Lifetime,
    root: OwnedFd,
    root_path: PathBuf,
    kubepods: Option<PathBuf>,
    own: Option<CgroupId>,
    /// Held until the programs obey us and the agent before us has finished: one agent starts at a time.
    starting: Option<Lock>,
    /// Since when.
    begun: Instant,
    /// Held by the agent that serves.
    serving: Option<Lock>,
}

/// What of the kernel side the other half of the agent needs.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) counters: Counters,
    pub(super) token_key: Kept,
}

impl Kernel {
    /// Checks this node and loads the programs, with the maps that an agent before us has left. Nothing is attached yet.
    pub(super) async fn prepare(config: &Config) -> anyhow::Result<(Self, Parts)> {
        preflight::check()?;
        let (root, root_path) = cgroup::open_root(&config.cgroup_root)?;
        let (pins, starting) = turn(&config.lifetime.pin_dir).await?;
        let serving = lock(pins.dir())?;
        let mut redirect = Redirect::load(config.log.level.into(), pins.clone())?;
        memory::give_back(); // loading takes MiB that nothing takes afterwards
        let own = own_cgroup(&root_path);
        if let Some(own) = own {
            // Before we ask it for the first time: the programs may be attached already.
            redirect.exempt(own)?;
        }
        if serving.is_some() {
            redirect.exempt_only(own)?;
        }
        let parts = Parts {
            counters: redirect.counters()?,
            token_key: Kept {
                ours: redirect.token_key()?,
                others: pins.others()?,
            },
        };
        let kernel = Self {
            redirect,
            pins,
            lifetime: config.lifetime.clone(),
            root,
            root_path,
            kubepods: config.kubepods.clone(),
            own,
            starting: Some(starting),
            begun: Instant::now(),
            serving,
        };
        Ok((kernel, parts))
    }

    /// How we stand to the agent before us, if there is one, of our version or another one.
    pub(super) fn standing(&self) -> Standing {
        if self.serving.is_none() || self.is_served_by_another_version() {
            Standing::Successor
        } else {
            Standing::Alone
        }
    }

    fn is_served_by_another_version(&self) -> bool {
        let others = self.pins.others().unwrap_or_default();
        others.iter().any(|dir| is_locked(dir))
    }

    /// Whether another version has pinned something.
    pub(super) fn is_superseded(&self) -> bool {
        self.pins.others().is_ok_and(|others| !others.is_empty())
    }

    /// Takes away what other versions have attached, now that our programs are. Their agent, if one lives, sees it.
    pub(super) fn supersede(&self) -> anyhow::Result<()> {
        for dir in self.pins.others()? {
            tracing::info!(dir = %dir.display(), "taking over from another version");
            pins::remove_version(&dir)?;
        }
        Ok(())
    }

    /// Whether programs are attached for which no agent answers any more.
    pub(super) fn is_orphaned(&self) -> bool {
        self.serving.is_some() && self.pins.attached()
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
        Ok(self.redirect.switch(target, self.lifetime.lease.get())?)
    }

    /// The root of the pods' cgroups. The kubelet makes it; before its first start there is none.
    pub(super) async fn wait_for_pods(&self) -> anyhow::Result<PathBuf> {
        let mut said = false;
        loop {
            if let Some(found) = cgroup::find_kubepods(&self.root_path, self.kubepods.as_deref())? {
                return Ok(found);
            }
            if !said {
                let below = self
                    .root_path
                    .join(self.kubepods.as_deref().unwrap_or(Path::new("")));
                tracing::warn!(below = %below.display(), "no cgroup of pods yet (--kubepods); waiting for the kubelet");
                said = true;
            }
            tokio::time::sleep(LOOK).await;
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
        let root = self
            .root
            .try_clone()
            .context("cannot duplicate a descriptor")?;
        let conns: Conns = self.redirect.conns()?;
        let tree = cgroup::Tree::new(root, self.root_path.clone(), kubepods);
        let (attest, search) = attest::Kernel::new(conns, tree);
        Ok((attest, async move {
            search.await;
            Ok(())
        }))
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
        Ok(self.redirect.attach(kubepods)?)
    }

    /// How often the lease is renewed.
    pub(super) fn period(&self) -> Duration {
        (self.lifetime.lease.get() / 10).min(LOOK)
    }

    /// Renews the lease, as long as the programs obey us. Says whether they do.
    pub(super) fn renew(&mut self) -> anyhow::Result<bool> {
        let ours = self.redirect.is_ours()?;
        if ours {
            self.redirect.renew(self.lifetime.lease.get())?;
        }
        Ok(ours)
    }

    /// When the agent before us has finished: nobody else is exempt, nobody connects to it any more, and another one may
    /// start.
    pub(super) fn inherit(&mut self) -> anyhow::Result<()> {
        if self.serving.is_none()
            && let Some(lock) = lock(self.pins.dir())?
        {
            self.serving = Some(lock);
            self.redirect.exempt_only(self.own)?;
            self.redirect.forget_before()?;
            tracing::info!("the agent before us has ended");
        }
        if self.serving.is_some() || self.begun.elapsed() > HEIR {
            self.starting = None;
        }
        Ok(())
    }

    /// Another agent serves now, and knows by this that we have finished.
    pub(super) fn retire(&mut self) {
        self.serving = None;
    }

    /// Whether any agent serves, of our version or another one.
    pub(super) fn is_served(&self) -> bool {
        is_locked(self.pins.dir()) || self.is_served_by_another_version()
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

    /// Takes away everything that we or other versions of us have pinned: from now on pods reach the real service. Unless
    /// another agent is starting, which says false: it needs what is there.
    pub(super) fn remove(mut self) -> anyhow::Result<bool> {
        if self.starting.is_none() {
            self.starting = lock(self.pins.root())?;
        }
        if self.starting.is_none() {
            return Ok(false);
        }
        pins::remove(self.pins.root())?;
        Ok(true)
    }
}

impl Drop for Kernel {
    /// An agent that never attached anything leaves nothing behind.
    fn drop(&mut self) {
        let alone = self.starting.is_some() && self.serving.is_some();
        if !alone || self.pins.attached() {
            return;
        }
        if let Err(error) = pins::remove_version(self.pins.dir()) {
            tracing::warn!("{:#}", anyhow::Error::from(error));
        }
        // Another version may have something there.
        let _kept = std::fs::remove_dir(self.pins.root()).is_ok();
    }
}

/// Waits for our turn to start.
async fn turn(pin_dir: &Path) -> anyhow::Result<(Pins, Lock)> {
    let mut said = false;
    loop {
        let pins = Pins::open(pin_dir)?;
        if let Some(lock) = lock(pins.root())? {
            // Whoever was before us may have removed what it made.
            return Ok((Pins::open(pin_dir)?, lock));
        }
        if !said {
            tracing::warn!(pin_dir = %pin_dir.display(), "another agent is starting on this node; waiting for it");
            said = true;
        }
        tokio::time::sleep(TURN).await;
    }
}

/// Whether another process holds the lock.
fn is_locked(dir: &Path) -> bool {
    matches!(Lock::try_take(dir), Ok(None))
}

fn lock(dir: &Path) -> anyhow::Result<Option<Lock>> {
    Lock::try_take(dir).with_context(|| format!("cannot lock {}", dir.display()))
}

fn own_cgroup(root: &Path) -> Option<CgroupId> {
    let own = cgroup::own_cgroup(root);
    if own.is_none() {
        tracing::warn!(
            "the agent's own cgroup cannot be told (does it have a cgroup namespace of its own?): if it is below the \
             pods' cgroup, its own calls to the metadata service come back to it"
        );
    }
    own
}
