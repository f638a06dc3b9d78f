//! Who has which address. All nodes have the same ones: their namespaces never meet.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Where the metadata service is, as every SDK knows it.
pub const METADATA_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);
/// Where the metadata service is on Nitro instances, by IPv6.
pub const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// The node's own address.
pub const NODE_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The node's own address, by IPv6.
pub const NODE_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

/// The gateway that pods see. No interface has it: as on EKS the neighbour entry is permanent.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The gateway that pods see, by IPv6.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// The node's end of every pod's link.
pub const GATEWAY_MAC: Mac = Mac([0xee; 6]);

/// An address that each of our namespaces has on its loopback device, and no other. A program that may only
/// run in one of them looks for it.
pub const MARK: Ipv6Addr = Ipv6Addr::new(0xfd77, 0xb9f, 0x21a, 0, 0, 0, 0x0150, 0x1a7e);

/// A link's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The bytes as they go over the link.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

/// What belongs to a node's pod number `index`, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PodAddresses {
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    pub(crate) mac: Mac,
}

impl PodAddresses {
    /// `10.77.1.1` and `fd77::1:1` for the first.
    pub(crate) fn of(index: u16) -> Self {
        let [high, low] = index.to_be_bytes();
        let [a, b, c, d] = NODE_V4.octets();
        Self {
            v4: Ipv4Addr::new(a, b, c + 1 + high, d - 1 + low),
            v6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, index),
            mac: Mac([0x02, 0, 0, 0, high, low]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_have_addresses_of_their_own() {
        let first = PodAddresses::of(1);
        assert_eq!(first.v4.to_string(), "10.77.1.1");
        assert_eq!(first.v6.to_string(), "fd77::1:1");
        assert_eq!(first.mac.to_string(), "02:00:00:00:00:01");
        assert_eq!(PodAddresses::of(0x0203).v4.to_string(), "10.77.3.3");
    }

    #[test]
    fn the_metadata_addresses_are_amazons() {
        assert_eq!(METADATA_V4.to_string(), "169.254.169.254");
        assert_eq!(METADATA_V6.to_string(), "fd00:ec2::254");
    }
}
