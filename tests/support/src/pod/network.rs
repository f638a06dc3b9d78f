//! Where a pod's sockets are.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::{
    addresses::{NODE_V4, NODE_V6, PodAddresses},
    ip,
    netns::Netns,
    sweep, wiring,
};

/// A pod's network: its own, or the node's.
#[derive(Debug)]
pub(crate) struct Network {
    path: PathBuf,
    ips: Vec<IpAddr>,
    own: Option<Own>,
}

/// A namespace that is joined to the node's.
#[derive(Debug)]
struct Own {
    netns: Netns,
    node: PathBuf,
    index: u16,
}

impl Network {
    /// Of the node's pod number `index`. `node` is the node's namespace.
    pub(crate) fn own(netns: Netns, node: PathBuf, index: u16) -> Self {
        let PodAddresses { v4, v6, mac: _ } = PodAddresses::of(index);
        Self {
            path: netns.path(),
            ips: vec![v4.into(), v6.into()],
            own: Some(Own { netns, node, index }),
        }
    }

    /// Of a hostNetwork pod.
    pub(crate) fn of_node(path: PathBuf) -> Self {
        Self {
            path,
            ips: vec![NODE_V4.into(), NODE_V6.into()],
            own: None,
        }
    }

    /// The namespace's file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// IPv4, then IPv6.
    pub(crate) fn ips(&self) -> &[IpAddr] {
        &self.ips
    }

    /// The namespace, if it is not the node's.
    pub(crate) fn netns(&self) -> Option<&Netns> {
        self.own.as_ref().map(|own| &own.netns)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // A node that went before its pods took all links with it.
        let node = self.node.file_name().and_then(|name| name.to_str());
        if let Some(node) = node.filter(|_| self.node.exists()) {
            sweep::report(ip::batch(node, &wiring::removal(self.index)));
        }
    }
}
