//! The pods of this node, as far as credentials are concerned.
//!
//! A [`Source`] is the only part that knows where pods come from. It writes an [`index`]; everybody
//! else reads the index, in memory and without waiting on the outside world.

pub mod binding;
mod convert;
mod directory;
mod field;
pub mod file;
pub mod index;
mod manifest;
pub mod metrics;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use crate::id::{PodRef, PodUid};

/// A pod that is bound to this node and not finished. What nobody asks for is dropped on the way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// As its cgroup names it.
    pub uid: PodUid,
    /// As people name it.
    pub name: PodRef,
    /// The ServiceAccount it runs as.
    pub service_account: String,
    /// Whether it shares the node's network namespace.
    pub host_network: bool,
    /// Its addresses, once they are known.
    pub ips: Vec<IpAddr>,
    /// Its annotations, as far as one of our parts reads them.
    pub annotations: BTreeMap<String, String>,
}

impl Pod {
    /// Whether its processes may have this address: one of its own, once these are known. On the node's network any.
    pub fn may_have(&self, address: IpAddr) -> bool {
        self.host_network || self.ips.is_empty() || self.ips.contains(&address)
    }
}

/// Where pods come from: files, or an API server.
pub trait Source: fmt::Debug + Send + 'static {
    /// Keeps `index` equal to what the outside world says, until the process ends. Returns only with an
    /// error that nothing can mend.
    fn run(self, index: index::Writer) -> impl Future<Output = anyhow::Error> + Send;
}
