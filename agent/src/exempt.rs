//! Pods that keep the node's own identity (`--node-role-for`) keep their way to the real service, also while no agent runs:
//! a network plugin has to work before anything else does.
//!
//! Each by its own cgroup, from when the kubelet has made that until another binding or the pod's end. Until all pods
//! are known, those stay exempt that an agent before us has named. Only pods on the network of the node: others may be a hop
//! too far away for the real service, and are served through the agent. And never an agent's pod: its container is exempt by
//! itself, and what it tries out as a pod has to come back to it.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::time;

use crate::{
    cgroup,
    digest::Digest,
    drain,
    id::{CgroupId, PodUid},
    pods::{
        Pod, Subject,
        binding::{self, Binding, Policy},
        index::{Snapshot, Store},
    },
    redirect::{self, Exempt, Whose},
};

/// How often it is looked for cgroups that have come or gone. Until then the agent itself passes on what such pods ask.
const SWEEP: Duration = Duration::from_secs(2);

/// Why it is not told who is exempt.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The list cannot be read or changed.
    #[error(transparent)]
    List(#[from] redirect::Error),
    /// Nobody is taken for gone whose cgroup cannot be seen.
    #[error("cannot read the cgroups below {}", .0.display())]
    Cgroups(PathBuf, #[source] io::Error),
}

/// Where it is kept who is exempt.
pub trait List {
    /// The pods' cgroups.
    fn pods(&self) -> Result<HashSet<CgroupId>, redirect::Error>;
    /// One more.
    fn add(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error>;
    /// One less.
    fn remove(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error>;
}

impl List for Exempt {
    fn pods(&self) -> Result<HashSet<CgroupId>, redirect::Error> {
        let all = self.all()?.into_iter();
        let pods = all.filter(|(_, whose)| *whose == Whose::Pod);
        Ok(pods.map(|(cgroup, _)| cgroup).collect())
    }

    fn add(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error> {
        Self::add(self, cgroup, Whose::Pod)
    }

    fn remove(&mut self, cgroup: CgroupId) -> Result<(), redirect::Error> {
        Self::remove(self, cgroup)
    }
}

/// Whose cgroups are looked for, and where what is found is kept.
#[derive(Debug)]
pub struct Keeper<L> {
    store: Store,
    policy: Arc<Policy>,
    kubepods: PathBuf,
    own: Option<PodUid>,
    list: L,
}

impl<L: List> Keeper<L> {
    /// For the pods of `store`, whose cgroups are below `kubepods`. The pod `own` is the agent's, if it runs in one.
    pub const fn new(
        store: Store,
        policy: Arc<Policy>,
        kubepods: PathBuf,
        own: Option<PodUid>,
        list: L,
    ) -> Self {
        Self {
            store,
            policy,
            kubepods,
            own,
            list,
        }
    }

    /// Does so until the drain.
    pub async fn run(mut self, mut drain: drain::Watch) {
        let mut snapshots = self.store.watch();
        let warnings = Digest::default();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            if snapshot.complete()
                && let Err(error) = self.reconcile(&snapshot)
                && let Some(count) = warnings.add("exempt")
            {
                let error = anyhow::Error::from(error);
                tracing::warn!(
                    count,
                    "cannot tell the programs who keeps the node's identity: {error:#}"
                );
            }
            tokio::select! {
                () = drain.signaled() => return,
                changed = time::timeout(SWEEP, snapshots.changed()) => if let Ok(Err(_closed)) = changed {
                    return;
                },
            }
        }
    }

    fn reconcile(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let wanted = self.wanted(snapshot);
        let listed = self.list.pods()?;
        if wanted.is_empty() && listed.is_empty() {
            return Ok(());
        }
        let there = cgroup::pods(&self.kubepods)
            .map_err(|error| Error::Cgroups(self.kubepods.clone(), error))?;
        let wanted: HashMap<_, _> = wanted
            .into_iter()
            .filter_map(|(uid, pod)| Some((*there.get(&uid)?, pod)))
            .collect();
        for cgroup in listed.iter().filter(|id| !wanted.contains_key(id)) {
            self.list.remove(*cgroup)?;
            tracing::info!(
                cgroup = cgroup.get(),
                "no longer keeps the node's identity, or is gone"
            );
        }
        for (cgroup, pod) in wanted.iter().filter(|(id, _)| !listed.contains(id)) {
            self.list.add(*cgroup)?;
            tracing::info!(
                pod = %pod.name,
                cgroup = cgroup.get(),
                "keeps the node's identity, and its way to the real metadata service (--node-role-for)"
            );
        }
        Ok(())
    }

    /// The pods that keep the node's identity.
    fn wanted<'a>(&self, snapshot: &'a Snapshot) -> HashMap<PodUid, &'a Pod> {
        let own = self.own.and_then(|own| snapshot.pod(own));
        let is_agent =
            |subject: &Subject| own.is_some_and(|own| are_agents(&own.pod, &subject.pod));
        let kept = snapshot
            .pods()
            .filter(|subject| keeps_identity(subject, &self.policy) && !is_agent(subject));
        kept.map(|subject| (subject.pod.uid, &*subject.pod))
            .collect()
    }
}

/// Whether the whole pod does, and can reach the real service: none of its containers has a role of its own.
fn keeps_identity(subject: &Subject, policy: &Policy) -> bool {
    let mut names = binding::containers(&subject.pod).map(Some).chain([None]);
    subject.pod.host_network
        && names.all(|name| matches!(binding::decide_for(subject, name, policy), Binding::Node(_)))
}

/// Whether `pod` is an agent's, as `own` is: that one, or during an upgrade the one before or after it.
fn are_agents(own: &Pod, pod: &Pod) -> bool {
    let (namespace, account) = (own.name.namespace(), own.service_account.as_ref());
    let same_account = account.is_some() && account == pod.service_account.as_ref();
    own.uid == pod.uid || (same_account && namespace == pod.name.namespace())
}

#[cfg(test)]
mod tests;
