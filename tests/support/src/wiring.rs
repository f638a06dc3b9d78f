//! How a node's namespaces are joined, as commands for `ip -batch`.
//!
//! As on EKS each pod has a /32, its default route leads to a link-local gateway with a permanent
//! neighbour entry, and the node routes each pod's address into its link. The node does not forward.

use crate::addresses::{
    GATEWAY_MAC, GATEWAY_V4, GATEWAY_V6, MARK, METADATA_V4, METADATA_V6, NODE_V4, NODE_V6,
    PodAddresses,
};

/// The node by itself. It owns the metadata addresses, so that a stand-in may listen there. They are on
/// the loopback device: not every kernel has dummy devices.
pub(crate) fn node() -> Vec<String> {
    vec![
        "link set lo up".to_owned(),
        format!("address add {MARK}/128 dev lo nodad"),
        format!("address add {NODE_V4}/32 dev lo"),
        format!("address add {NODE_V6}/128 dev lo nodad"),
        format!("address add {METADATA_V4}/32 dev lo"),
        format!("address add {METADATA_V6}/128 dev lo nodad"),
    ]
}

/// The node's end of a pod's link, and the link itself.
pub(crate) fn node_end(index: u16, pod_netns: &str) -> Vec<String> {
    let PodAddresses { v4, v6, mac } = PodAddresses::of(index);
    let link = format!("veth{index}");
    vec![
        format!(
            "link add {link} address {GATEWAY_MAC} type veth peer name eth0 address {mac} netns {pod_netns}"
        ),
        format!("link set {link} up"),
        format!("route add {v4}/32 dev {link} src {NODE_V4}"),
        format!("route add {v6}/128 dev {link} src {NODE_V6}"),
        format!("neighbour add {v4} lladdr {mac} dev {link} nud permanent"),
        format!("neighbour add {v6} lladdr {mac} dev {link} nud permanent"),
    ]
}

/// Takes a pod's link away, both ends at once. With its namespace it would go too, but some time later.
pub(crate) fn removal(index: u16) -> Vec<String> {
    vec![format!("link delete veth{index}")]
}

/// The pod's end of its link.
pub(crate) fn pod_end(index: u16) -> Vec<String> {
    let PodAddresses { v4, v6, mac: _ } = PodAddresses::of(index);
    vec![
        "link set lo up".to_owned(),
        format!("address add {MARK}/128 dev lo nodad"),
        format!("address add {v4}/32 dev eth0"),
        format!("address add {v6}/128 dev eth0 nodad"),
        "link set eth0 up".to_owned(),
        format!("route add {GATEWAY_V4}/32 dev eth0 scope link"),
        format!("route add 0.0.0.0/0 via {GATEWAY_V4} dev eth0"),
        format!("neighbour add {GATEWAY_V4} lladdr {GATEWAY_MAC} dev eth0 nud permanent"),
        format!("route add {GATEWAY_V6}/128 dev eth0"),
        format!("route add ::/0 via {GATEWAY_V6} dev eth0"),
        format!("neighbour add {GATEWAY_V6} lladdr {GATEWAY_MAC} dev eth0 nud permanent"),
    ]
}
