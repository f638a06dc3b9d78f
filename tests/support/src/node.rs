//! A node: namespaces and cgroups, from their making to their removal.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cgroup::{self, Driver},
    ip, isolation,
    netns::{self, Netns},
    place::Place,
    pod::{self, Pod},
    run::Run,
    sweep, wiring,
};

/// What kind of node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Who names the cgroups.
    pub driver: Driver,
}

/// A node without uplink, with a cgroup tree of its own. Any number can exist side by side.
///
/// On drop, also by a panic, all that runs in it is killed and all that it consists of is removed, pods
/// included.
#[derive(Debug)]
pub struct Node {
    run: Run,
    driver: Driver,
    /// The host's cgroup2 mount.
    cgroup_root: PathBuf,
    netns: Netns,
    pods: AtomicU16,
}

impl Node {
    /// Makes a node without pods, and proves that it is isolated. Needs root, iproute2 and cgroups of
    /// version 2. Leftovers of dead processes are removed first.
    pub fn create(options: Options) -> Result<Self> {
        sweep::sweep().context("cannot remove what an earlier run left behind")?;
        let run = Run::next()?;
        let node = Self {
            run,
            driver: options.driver,
            cgroup_root: cgroup::mount_point()?,
            netns: Netns::create(format!("{run}-node"))?,
            pods: AtomicU16::new(0),
        };
        ip::batch(node.netns.name(), &wiring::node())?;
        for place in [node.host(), node.stray()] {
            cgroup::create(place.cgroup())?;
        }
        node.verify_isolated()?;
        Ok(node)
    }

    /// Its name, unique on this machine.
    pub fn name(&self) -> String {
        self.run.to_string()
    }

    /// The network namespace of the node itself.
    pub const fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The host's cgroup2 mount: the agent's `--cgroup-root`.
    pub fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// The cgroup of all pods: the agent's `--kubepods`.
    pub fn kubepods(&self) -> PathBuf {
        self.tree().join(self.driver.kubepods())
    }

    /// Where the node's own processes run: beside the pods.
    pub fn host(&self) -> Place {
        Place::new(self.tree().join("host"), self.netns.path())
    }

    /// A place below the pods' cgroup that belongs to no pod.
    pub fn stray(&self) -> Place {
        Place::new(self.kubepods().join("stray"), self.netns.path())
    }

    /// Makes a pod, and proves that the node is still isolated.
    pub fn add_pod(&self, spec: pod::Spec) -> Result<Pod> {
        let pod = self.make_pod(spec)?;
        self.verify_isolated()?;
        Ok(pod)
    }

    /// Makes many pods, and proves once that the node is still isolated: to do so takes longer with each pod.
    pub fn add_pods(&self, specs: impl IntoIterator<Item = pod::Spec>) -> Result<Vec<Pod>> {
        let pods: Result<Vec<_>> = specs.into_iter().map(|spec| self.make_pod(spec)).collect();
        let pods = pods?;
        self.verify_isolated()?;
        Ok(pods)
    }

    fn make_pod(&self, spec: pod::Spec) -> Result<Pod> {
        let index = self.pods.fetch_add(1, Ordering::Relaxed) + 1;
        let network = if spec.host_network {
            pod::Network::of_node(self.netns.path())
        } else {
            self.join(index)?
        };
        Pod::create(spec, &self.name(), (&self.tree(), self.driver), network)
    }

    /// Fails when a device of one of the namespaces may lead out of the node.
    pub fn verify_isolated(&self) -> Result<()> {
        let mut names = Vec::new();
        for entry in fs::read_dir(netns::DIRECTORY).context(netns::DIRECTORY)? {
            let name = entry.context(netns::DIRECTORY)?.file_name();
            names.extend(name.into_string().ok());
        }
        names.retain(|name| Run::of(name) == Some(self.run));
        ensure!(!names.is_empty(), "the node has lost its namespaces");
        isolation::verify(&names)
    }

    /// Makes a namespace that is joined to the node's.
    fn join(&self, index: u16) -> Result<pod::Network> {
        let netns = Netns::create(format!("{}-pod{index}", self.run))?;
        ip::batch(self.netns.name(), &wiring::node_end(index, netns.name()))?;
        ip::batch(netns.name(), &wiring::pod_end(index))?;
        Ok(pod::Network::own(netns, self.netns.path(), index))
    }

    fn tree(&self) -> PathBuf {
        self.cgroup_root.join(self.run.to_string())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        sweep::report(sweep::remove_run(self.run));
    }
}
