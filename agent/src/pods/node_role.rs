//! Who keeps the node's own identity (`--node-role-for`): what runs the node itself, such as its network or its storage,
//! and cannot do so with a role of its own.
//!
//! Only the operator names them, and never by what a pod says about itself: its annotations have no part in this.

use std::{fmt, str::FromStr};

use crate::id::{Excerpt, is_dns_label, is_dns_subdomain};

use super::Pod;

/// What stands for those pods of a namespace that are on the network of the node. No ServiceAccount is called so: their
/// names have no capital letters.
const HOST_NETWORK: &str = "hostNetwork";

/// Where the pods are that Kubernetes itself runs on.
const SYSTEM: &str = "kube-system";

/// Those who keep the node's own identity. By default nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeRoleFor(Vec<Entry>);

/// Some pods of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    namespace: String,
    pods: Pods,
}

/// Which pods of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pods {
    All,
    HostNetwork,
    Of { service_account: String },
}

/// A text that names no pods.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no NAMESPACE, NAMESPACE/SERVICEACCOUNT or NAMESPACE/hostNetwork")]
pub struct InvalidEntry(Excerpt);

impl NodeRoleFor {
    /// The pods of [`SYSTEM`] on the network of the node. Before the agent came they had the node's identity, and nothing
    /// else; and who may make such pods may do anything to the node.
    pub fn usual() -> Self {
        Self::from_iter([Entry {
            namespace: SYSTEM.to_owned(),
            pods: Pods::HostNetwork,
        }])
    }

    /// Whether it may be anybody.
    pub const fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// The entry that names `pod`, if one does.
    pub fn find(&self, pod: &Pod) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.is_for(pod))
    }
}

impl FromIterator<Entry> for NodeRoleFor {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl Entry {
    fn is_for(&self, pod: &Pod) -> bool {
        self.namespace == pod.name.namespace()
            && match &self.pods {
                Pods::All => true,
                Pods::HostNetwork => pod.host_network,
                Pods::Of { service_account } => {
                    pod.service_account.as_ref() == Some(service_account)
                }
            }
    }
}

impl FromStr for Entry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, InvalidEntry> {
        let (namespace, pods) = match text.split_once('/') {
            None => (text, Some(Pods::All)),
            Some((namespace, HOST_NETWORK)) => (namespace, Some(Pods::HostNetwork)),
            // Whoever writes it so does not mean a ServiceAccount.
            Some((namespace, name)) if name.eq_ignore_ascii_case(HOST_NETWORK) => (namespace, None),
            Some((namespace, name)) => (namespace, of_account(name)),
        };
        let pods = pods.filter(|_| is_dns_label(namespace, 63));
        Ok(Self {
            namespace: namespace.to_owned(),
            pods: pods.ok_or_else(|| InvalidEntry(Excerpt::of(text)))?,
        })
    }
}

fn of_account(name: &str) -> Option<Pods> {
    is_dns_subdomain(name).then(|| Pods::Of {
        service_account: name.to_owned(),
    })
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pods {
            Pods::All => f.write_str(&self.namespace),
            Pods::HostNetwork => write!(f, "{}/{HOST_NETWORK}", self.namespace),
            Pods::Of { service_account } => write!(f, "{}/{service_account}", self.namespace),
        }
    }
}

/// As the flag takes it.
impl fmt::Display for NodeRoleFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NOBODY);
        }
        for (at, entry) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{entry}")?;
        }
        Ok(())
    }
}

/// What stands for no pods at all.
pub const NOBODY: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::PodRef;

    fn pod(namespace: &str, service_account: Option<&str>, host_network: bool) -> Pod {
        let uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap();
        Pod {
            service_account: service_account.map(str::to_owned),
            host_network,
            ..Pod::new(uid, PodRef::new(namespace, "pod"))
        }
    }

    /// The entry by which `pod` keeps the node's identity.
    fn found(entries: &[&str], pod: &Pod) -> Option<String> {
        let entries: NodeRoleFor = entries.iter().map(|entry| entry.parse().unwrap()).collect();
        entries.find(pod).map(ToString::to_string)
    }

    #[test]
    fn an_entry_names_pods_of_its_own_namespace_only() {
        let cni = pod("net", Some("cni"), false);
        for (entries, entry) in [
            (&["net"] as &[_], Some("net")),
            (&["net/cni"], Some("net/cni")),
            (&["csi", "net/cni", "net"], Some("net/cni")),
            (&["net/hostNetwork"], None),
            (&["net/cn"], None),
            (&["net/cni2"], None),
            (&["ne", "nets", "net2/cni", "cni"], None),
            (&[], None),
        ] {
            assert_eq!(found(entries, &cni).as_deref(), entry, "{entries:?}");
        }
    }

    #[test]
    fn on_the_network_of_the_node_a_pod_is_named_by_that() {
        let proxy = pod("kube-system", Some("kube-proxy"), true);
        let dns = pod("kube-system", Some("coredns"), false);
        let others = pod("shop", Some("kube-proxy"), true);
        let usual = NodeRoleFor::usual();
        assert!(usual.find(&proxy).is_some());
        assert!(usual.find(&dns).is_none() && usual.find(&others).is_none());
        assert!(NodeRoleFor::default().find(&proxy).is_none());
    }

    #[test]
    fn a_static_pod_has_no_service_account_to_be_named_by() {
        let etcd = pod("kube-system", None, true);
        assert!(NodeRoleFor::usual().find(&etcd).is_some());
        assert_eq!(found(&["kube-system/default"], &etcd), None);
        assert_eq!(
            found(&["kube-system"], &etcd).as_deref(),
            Some("kube-system")
        );
    }
}
