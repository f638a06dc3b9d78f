//! A pod: cgroups, addresses, and what its manifest says.

mod network;
mod spec;

use std::{
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    cgroup::{self, Driver},
    netns::Netns,
    place::Place,
    sweep,
};

pub(crate) use network::Network;
pub use spec::Spec;

/// A pod of a node. On drop its processes are killed, and its cgroup and namespace removed.
#[derive(Debug)]
pub struct Pod {
    spec: Spec,
    node: String,
    uid: String,
    driver: Driver,
    cgroup: PathBuf,
    /// Its first cgroup, which no status mentions.
    pause: String,
    containers: Vec<Container>,
    /// Last, so that it is dropped after the processes.
    network: Network,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// As the pod's manifest calls it.
    pub name: String,
    /// As its runtime and its cgroup call it: 64 hexadecimal digits.
    pub id: String,
}

impl Pod {
    pub(crate) fn create(
        spec: Spec,
        node: &str,
        (tree, driver): (&Path, Driver),
        network: Network,
    ) -> Result<Self> {
        let uid = match &spec.uid {
            Some(uid) => uid.clone(),
            None => random_uuid()?,
        };
        let mut pod = Self {
            cgroup: tree.join(driver.pod(spec.qos, &uid)),
            node: node.to_owned(),
            uid,
            driver,
            pause: random_container_id()?,
            containers: Vec::new(),
            network,
            spec,
        };
        cgroup::create(pod.pause().cgroup())?;
        for name in pod.spec.containers.clone() {
            pod.add_container(name)?;
        }
        Ok(pod)
    }

    /// What it was made from.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The name of its node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Its UID, as its cgroup and its manifest have it.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its containers. The first is the one that commands run in.
    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    /// Its addresses: IPv4, then IPv6. Those of the node when it is on the host's network.
    pub fn ips(&self) -> &[IpAddr] {
        self.network.ips()
    }

    /// Its IPv4 address.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.ips().iter().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        })
    }

    /// Its IPv6 address.
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        self.ips().iter().find_map(|ip| match ip {
            IpAddr::V6(ip) => Some(*ip),
            IpAddr::V4(_) => None,
        })
    }

    /// The namespace that it does not share with the node, if there is one.
    pub fn netns(&self) -> Option<&Netns> {
        self.network.netns()
    }

    /// The directory of its cgroup.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// Adds a container, as an ephemeral one is added.
    pub fn add_container(&mut self, name: impl Into<String>) -> Result<Place> {
        let container = Container {
            name: name.into(),
            id: random_container_id()?,
        };
        let place = self.place_of(&container.id);
        cgroup::create(place.cgroup())?;
        self.containers.push(container);
        Ok(place)
    }

    /// Its first container.
    pub fn place(&self) -> Place {
        let first = self.containers.first().map_or(&self.pause, |c| &c.id);
        self.place_of(first)
    }

    /// The container that is called `name`.
    pub fn container(&self, name: &str) -> Result<Place> {
        let mut containers = self.containers.iter();
        let found = containers.find(|container| container.name == name);
        let found = found.with_context(|| format!("pod {} has no {name}", self.spec))?;
        Ok(self.place_of(&found.id))
    }

    /// The container that keeps the namespaces.
    pub fn pause(&self) -> Place {
        self.place_of(&self.pause)
    }

    /// A program in its first container. See [`Place::command`].
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        self.place().command(program)
    }

    fn place_of(&self, id: &str) -> Place {
        let cgroup = self.cgroup.join(self.driver.container(id));
        Place::new(cgroup, self.network.path())
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        sweep::report(cgroup::remove(&self.cgroup));
    }
}

/// The kernel makes them, as for everybody else.
fn random_uuid() -> Result<String> {
    let path = "/proc/sys/kernel/random/uuid";
    let uuid = fs::read_to_string(path).context(path)?;
    Ok(uuid.trim().to_owned())
}

fn random_container_id() -> Result<String> {
    Ok((random_uuid()? + &random_uuid()?).replace('-', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_id_looks_like_containerds() {
        let id = random_container_id().unwrap();
        assert_eq!(id.len(), 64);
        assert!(id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
        assert_ne!(id, random_container_id().unwrap());
    }
}
