//! Proof that no packet can leave a node: each device of its namespaces ends in one of its namespaces.
//!
//! Routes need not be looked at. A route leads through a device.

use anyhow::{Result, ensure};
use serde::Deserialize;

use crate::ip;

/// A device, as `ip -details link` shows it.
#[derive(Debug, Deserialize)]
struct Link {
    #[serde(rename = "ifname")]
    name: String,
    flags: Vec<String>,
    /// The namespace of the other end.
    #[serde(rename = "link_netnsid")]
    peer: Option<i32>,
    #[serde(rename = "linkinfo")]
    info: Option<Info>,
}

#[derive(Debug, Deserialize)]
struct Info {
    #[serde(rename = "info_kind")]
    kind: Option<String>,
}

/// What a namespace calls another one, as `ip netns list-id` shows it.
#[derive(Debug, Deserialize)]
struct Neighbour {
    nsid: i32,
    /// Its name under /run/netns.
    name: Option<String>,
}

/// Fallback devices that a kernel module puts into every namespace. They cannot be removed; down, they
/// carry nothing.
const TUNNELS: [&str; 10] = [
    "ipip",
    "sit",
    "gre",
    "gretap",
    "erspan",
    "ip6tnl",
    "ip6gre",
    "ip6gretap",
    "vti",
    "vti6",
];

/// Fails when one of the `namespaces` has a device that leads anywhere but into another of them.
pub(crate) fn verify(namespaces: &[String]) -> Result<()> {
    for namespace in namespaces {
        // The kernel numbers a neighbour when it first shows a link to it: links before numbers.
        let links: Vec<Link> = ip::query(namespace, &["-details", "link", "show"])?;
        let neighbours = neighbours(namespace, &links)?;
        for link in &links {
            ensure!(
                stays_inside(link, &neighbours, namespaces),
                "the device {} of {namespace} may lead out of the node: {link:?}",
                link.name
            );
        }
    }
    Ok(())
}

/// Those of `namespace`, as far as `links` lead there.
fn neighbours(namespace: &str, links: &[Link]) -> Result<Vec<Neighbour>> {
    let ids = ["netns", "list-id"];
    let mut all: Vec<Neighbour> = ip::query(namespace, &ids)?;
    for peer in links.iter().filter_map(|link| link.peer) {
        // The list ends after some hundred (iproute2 6.1), without a word.
        if all.iter().all(|known| known.nsid != peer) {
            let one = ["nsid", &peer.to_string()];
            all.extend(ip::query::<Neighbour>(namespace, &[ids, one].concat())?);
        }
    }
    Ok(all)
}

fn stays_inside(link: &Link, neighbours: &[Neighbour], ours: &[String]) -> bool {
    let has_flag = |flag: &str| link.flags.iter().any(|set| set == flag);
    let kind = link.info.as_ref().and_then(|info| info.kind.as_deref());
    match kind {
        None => has_flag("LOOPBACK"),
        Some("dummy") => true,
        Some("veth") => {
            let peer = neighbours
                .iter()
                .find(|neighbour| Some(neighbour.nsid) == link.peer);
            peer.and_then(|peer| peer.name.as_ref())
                .is_some_and(|name| ours.contains(name))
        }
        Some(kind) => TUNNELS.contains(&kind) && !has_flag("UP"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(link: serde_json::Value) -> bool {
        let neighbours = serde_json::from_value::<Vec<Neighbour>>(json!([
            {"nsid": 0, "name": "ours-pod1"}, {"nsid": 1, "name": "cni-foreign"}, {"nsid": 2},
        ]));
        let ours = ["ours-node".to_owned(), "ours-pod1".to_owned()];
        let link = serde_json::from_value(link).unwrap();
        stays_inside(&link, &neighbours.unwrap(), &ours)
    }

    #[test]
    fn devices_without_another_end_are_taken() {
        assert!(check(json!({"ifname": "lo", "flags": ["LOOPBACK", "UP"]})));
        assert!(check(
            json!({"ifname": "d0", "flags": ["UP"], "linkinfo": {"info_kind": "dummy"}})
        ));
        assert!(check(
            json!({"ifname": "sit0", "flags": ["NOARP"], "linkinfo": {"info_kind": "sit"}})
        ));
    }

    #[test]
    fn a_link_between_our_namespaces_is_taken() {
        assert!(check(
            json!({"ifname": "veth1", "flags": ["UP"], "link_netnsid": 0, "linkinfo": {"info_kind": "veth"}})
        ));
    }

    #[test]
    fn whatever_may_lead_out_is_refused() {
        for link in [
            json!({"ifname": "eth0", "flags": ["BROADCAST", "UP"]}),
            json!({"ifname": "eth0", "flags": ["BROADCAST"]}),
            json!({"ifname": "veth1", "flags": ["UP"], "linkinfo": {"info_kind": "veth"}}),
            json!({"ifname": "veth1", "flags": ["UP"], "link_netnsid": 1, "linkinfo": {"info_kind": "veth"}}),
            json!({"ifname": "veth1", "flags": ["UP"], "link_netnsid": 2, "linkinfo": {"info_kind": "veth"}}),
            json!({"ifname": "veth1", "flags": ["UP"], "link_netnsid": 9, "linkinfo": {"info_kind": "veth"}}),
            json!({"ifname": "wg0", "flags": ["UP"], "linkinfo": {"info_kind": "wireguard"}}),
            json!({"ifname": "sit0", "flags": ["UP"], "linkinfo": {"info_kind": "sit"}}),
            json!({"ifname": "tun0", "flags": [], "linkinfo": {"info_kind": "tun"}}),
            json!({"ifname": "m0", "flags": ["UP"], "link_netnsid": 0, "linkinfo": {"info_kind": "macvlan"}}),
        ] {
            assert!(!check(link.clone()), "{link}");
        }
    }
}
