//! The pods of this node, as far as credentials are concerned.
//!
//! A [`Source`] is the only part that knows where pods come from. It writes an [`index`]; everybody
//! else reads the index, in memory and without waiting on the outside world.

pub mod annotation;
pub mod binding;
pub mod compat;
mod convert;
mod directory;
mod few;
mod field;
pub mod file;
pub mod index;
pub mod kube;
mod manifest;
pub mod metrics;
mod namespace;
pub mod node_role;
pub mod offline;
pub mod resolve;
pub mod restriction;
mod surroundings;
pub mod tally;

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use crate::id::{ContainerId, PodRef, PodUid};

pub use few::Few;
pub use namespace::Namespace;
pub use node_role::NodeRoleFor;

/// A pod that is bound to this node and not finished. What nobody asks for is dropped on the way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// As its cgroup names it.
    pub uid: PodUid,
    /// As the API server names it: another only for a static pod.
    pub api_uid: PodUid,
    /// As people name it.
    pub name: PodRef,
    /// The ServiceAccount it runs as. Static pods have none.
    pub service_account: Option<String>,
    /// Whether it shares the node's network namespace.
    pub host_network: bool,
    /// Its addresses, once they are known.
    pub ips: Vec<IpAddr>,
    /// Its annotations, as far as one of our parts reads them.
    pub annotations: BTreeMap<String, String>,
    /// Those of its containers whose ids are known, of every kind.
    pub containers: Vec<Container>,
}

/// A container that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// As its runtime and its cgroup name it.
    pub id: ContainerId,
    /// As the pod names it.
    pub name: String,
}

impl Pod {
    /// A pod of which no more is known than its names.
    pub const fn new(uid: PodUid, name: PodRef) -> Self {
        Self {
            uid,
            api_uid: uid,
            name,
            service_account: None,
            host_network: false,
            ips: Vec::new(),
            annotations: BTreeMap::new(),
            containers: Vec::new(),
        }
    }

    /// Whether its processes may have this address: one of its own, once these are known. On the node's network any.
    pub fn may_have(&self, address: IpAddr) -> bool {
        self.host_network || self.ips.is_empty() || self.ips.contains(&address)
    }

    /// The name of its container with this id, once that is known.
    pub fn container(&self, id: ContainerId) -> Option<&str> {
        let known = self.containers.iter().find(|container| container.id == id);
        known.map(|container| container.name.as_str())
    }
}

/// A ServiceAccount. Among files, one that does not exist says as much as one without annotations. At an API server it is
/// not known: no pod is made without its ServiceAccount, so it is about to be made anew, or the pod to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its annotations, as far as one of our parts reads them.
    pub annotations: Few,
}

/// A pod and what else decides about its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The pod.
    pub pod: Arc<Pod>,
    /// Its namespace; `None` as long as we do not know it.
    pub namespace: Option<Arc<Namespace>>,
    /// Its ServiceAccount; `None` as long as we do not know it.
    pub service_account: Option<Arc<ServiceAccount>>,
}

impl Subject {
    /// A pod whose namespace and ServiceAccount say nothing.
    pub fn alone(pod: Pod) -> Self {
        Self {
            pod: Arc::new(pod),
            namespace: Some(Arc::default()),
            service_account: Some(Arc::default()),
        }
    }
}

/// Where pods come from: files, or an API server.
pub trait Source: fmt::Debug + Send + 'static {
    /// Keeps `index` equal to what the outside world says, until the process ends. Returns only with an
    /// error that nothing can mend.
    fn run(self, index: index::Writer) -> impl Future<Output = anyhow::Error> + Send;
}
