//! Who this node is: its name in Kubernetes, and where pods reach it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::id::is_dns_subdomain;

use super::{Error, Warning, given};

/// The node's name in Kubernetes: a DNS subdomain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeName(String);

impl NodeName {
    /// The first of: what was typed, `$NODE_NAME`, the host name.
    pub(super) fn choose(
        typed: Option<String>,
        variable: Option<String>,
        host_name: io::Result<String>,
    ) -> Result<Self, Error> {
        if let Some(name) = given(typed) {
            return Self::parse("--node-name", name);
        }
        if let Some(name) = given(variable) {
            return Self::parse("$NODE_NAME", name);
        }
        let name = host_name.map_err(Error::HostName)?;
        // As the kubelet does when it registers the node.
        Self::parse("the host name", name.trim().to_lowercase())
    }

    fn parse(given_by: &'static str, value: String) -> Result<Self, Error> {
        if is_dns_subdomain(&value) {
            Ok(Self(value))
        } else {
            Err(Error::NodeName { given_by, value })
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where pods reach this node: an address of either family, or of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeIps {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl NodeIps {
    /// The first of: what was typed, `$HOST_IP`, the sources of the default routes.
    pub(super) fn choose(
        typed: &[String],
        variable: Option<&str>,
        sources: &[IpAddr],
    ) -> Result<Self, Error> {
        let ips = match parse("--node-ip", &typed.join(","))? {
            Some(ips) => Some(ips),
            None => parse("$HOST_IP", variable.unwrap_or_default())?,
        };
        ips.or_else(|| Self::found(sources)).ok_or(Error::NoNodeIp)
    }

    /// From a machine's own link-local address one cannot tell that pods have a route to it: that has to be said.
    fn found(sources: &[IpAddr]) -> Option<Self> {
        let usable = |address: &&IpAddr| {
            let local = matches!(address, IpAddr::V4(v4) if v4.is_link_local());
            is_usable(**address) && !address.is_loopback() && !local
        };
        let ips = sources.iter().filter(usable).fold(NONE, Self::or);
        (ips != NONE).then_some(ips)
    }

    /// With `address`, unless there is one of its family.
    fn or(self, address: &IpAddr) -> Self {
        match *address {
            IpAddr::V4(v4) => Self {
                v4: self.v4.or(Some(v4)),
                ..self
            },
            IpAddr::V6(v6) => Self {
                v6: self.v6.or(Some(v6)),
                ..self
            },
        }
    }

    /// What whoever gave them should know.
    pub(super) fn warning(self) -> Option<Warning> {
        let says = "it is a loopback address, where only pods in the network of the node reach us; give an \
                    address of this node";
        let is_loopback = self.iter().any(|address| address.is_loopback());
        is_loopback.then(|| Warning::new("node-ip", says))
    }

    fn of_family(self, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(_) => self.v4.map(IpAddr::from),
            IpAddr::V6(_) => self.v6.map(IpAddr::from),
        }
    }

    /// The IPv4 address.
    pub const fn v4(self) -> Option<Ipv4Addr> {
        self.v4
    }

    /// The IPv6 address.
    pub const fn v6(self) -> Option<Ipv6Addr> {
        self.v6
    }

    /// One or two addresses.
    pub fn iter(self) -> impl Iterator<Item = IpAddr> {
        let v6 = self.v6.map(IpAddr::from);
        self.v4.map(IpAddr::from).into_iter().chain(v6)
    }
}

impl fmt::Display for NodeIps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ips: Vec<_> = self.iter().map(|ip| ip.to_string()).collect();
        f.write_str(&ips.join(","))
    }
}

const NONE: NodeIps = NodeIps { v4: None, v6: None };

/// The addresses in `list`, with commas between them. None if it says nothing.
fn parse(given_by: &'static str, list: &str) -> Result<Option<NodeIps>, Error> {
    let mut ips = NONE;
    let texts = list.split(',').map(str::trim);
    for text in texts.filter(|text| !text.is_empty()) {
        let address = parse_one(given_by, text)?;
        match ips.of_family(address) {
            Some(first) if first != address => {
                return Err(Error::NodeIpTwice {
                    given_by,
                    first,
                    second: address,
                });
            }
            _ => ips = ips.or(&address),
        }
    }
    Ok((ips != NONE).then_some(ips))
}

fn parse_one(given_by: &'static str, text: &str) -> Result<IpAddr, Error> {
    let address = match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical(),
        Err(_no_address) => {
            let value = text.to_owned();
            return Err(Error::NodeIp { given_by, value });
        }
    };
    if is_usable(address) {
        Ok(address)
    } else {
        Err(Error::NodeIpUnusable { given_by, address })
    }
}

/// Whether a listener can be there and be connected to. A link-local address needs a scope in IPv6; one of IPv4 on an
/// interface of the node's own is as good as any. A listener at a metadata address would be redirected to itself.
fn is_usable(address: IpAddr) -> bool {
    let special = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4 == METADATA_V4,
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA_V6,
    };
    !address.is_unspecified() && !address.is_multicast() && !special
}

const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests;
