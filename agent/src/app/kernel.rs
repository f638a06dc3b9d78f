//! The half of the agent that stands on the kernel: programs, cgroups, attestation.

use std::{
    io,
    net::SocketAddr,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{
    attest, cgroup,
    config::Config,
    digest::Digest,
    drain, memory,
    redirect::{Attached, Conns, Counters, Redirect, Target, preflight},
};

use super::agent::Bound;

/// How often the pods' cgroup is looked for while the kubelet has not made it.
const LOOK: Duration = Duration::from_secs(1);

/// The programs, and where they will be attached.
#[derive(Debug)]
pub(super) struct Kernel {
    redirect: Redirect,
    root: OwnedFd,
    root_path: PathBuf,
    kubepods: Option<PathBuf>,
}

impl Kernel {
    /// Checks this node and loads the programs. Nothing on the node has changed yet.
    pub(super) fn prepare(config: &Config) -> anyhow::Result<(Self, Counters)> {
        preflight::check()?;
        let (root, root_path) = cgroup::open_root(&config.cgroup_root)?;
        let mut redirect = Redirect::load(config.log.level.into())?;
        memory::give_back(); // loading takes MiB that nothing takes afterwards
        let counters = redirect.counters()?;
        let kubepods = config.kubepods.clone();
        Ok((
            Self {
                redirect,
                root,
                root_path,
                kubepods,
            },
            counters,
        ))
    }

    /// Tells the programs where the proxy listens.
    pub(super) fn point_at(&mut self, bound: &Bound) -> anyhow::Result<()> {
        let agent = cgroup::own_cgroup(&self.root_path);
        if agent.is_none() {
            tracing::warn!(
                "the agent's own cgroup cannot be told (does it have a cgroup namespace of its own?): if it is below the \
                 pods' cgroup, its own calls to the metadata service come back to it"
            );
        }
        let mut target = Target {
            agent,
            ..Target::default()
        };
        for listener in &bound.listeners {
            match listener {
                SocketAddr::V4(v4) => target.ip4 = Some(*v4.ip()),
                SocketAddr::V6(v6) => target.ip6 = Some(*v6.ip()),
            }
            target.port = listener.port();
        }
        Ok(self.redirect.point_at(target)?)
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

    /// From now on connects of the pods below `kubepods` come to the proxy.
    pub(super) fn attach(&mut self, kubepods: &Path) -> anyhow::Result<()> {
        Ok(self.redirect.attach(kubepods)?)
    }

    /// What is attached.
    pub(super) fn attached(&self) -> &[Attached] {
        self.redirect.attached()
    }

    /// From now on no connect comes to the proxy any more.
    pub(super) fn detach(self) {
        self.redirect.detach();
    }
}

/// Ends with an error when the cgroup at `kubepods` is not the one any more that it is now. The programs are
/// attached to the cgroup, not to its name: pods in another one of the same name would reach the real service.
pub(super) fn watch(
    kubepods: PathBuf,
    mut drain: drain::Watch,
) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static> {
    let attached = cgroup::id_of(&kubepods).context("the pods' cgroup")?;
    let warnings = Digest::default();
    Ok(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = drain.signaled() => return Ok(()),
            }
            match cgroup::id_of(&kubepods) {
                Ok(now) if now == attached => {}
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    // That we cannot look is no reason to leave the pods alone.
                    if let Some(count) = warnings.add("look") {
                        tracing::warn!(count, %error, kubepods = %kubepods.display(), "cannot look at the pods' cgroup");
                    }
                }
                Ok(_) | Err(_) => bail!(
                    "{} was removed or made anew; what is attached to it protects no pod any more",
                    kubepods.display()
                ),
            }
        }
    })
}
