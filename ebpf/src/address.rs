//! Addresses as the kernel's context structs hold them: words whose bytes lie in network order.
//!
//! IPv4 is always mapped into IPv6 (`::ffff:a.b.c.d`), since that is how a v6 socket reaches it: one
//! comparison then serves both families.

/// An address in four words, each with its bytes in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address([u32; 4]);

/// The third word of a mapped IPv4 address.
const MAPPED: u32 = 0xffff_u32.to_be();

impl Address {
    /// The metadata service over IPv4, 169.254.169.254.
    pub const METADATA_V4: Self = Self::v4(u32::from_ne_bytes([169, 254, 169, 254]));
    /// The metadata service over IPv6, `fd00:ec2::254`.
    pub const METADATA_V6: Self = Self::from_octets([
        0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54,
    ]);

    /// An IPv4 address from its word.
    #[inline(always)]
    pub const fn v4(word: u32) -> Self {
        Self([0, 0, MAPPED, word])
    }

    /// An IPv6 address, which may be a mapped one, from its words.
    #[inline(always)]
    pub const fn v6(words: [u32; 4]) -> Self {
        Self(words)
    }

    /// An address from its bytes.
    #[inline(always)]
    pub const fn from_octets(bytes: [u8; 16]) -> Self {
        Self([
            word(&bytes, 0),
            word(&bytes, 4),
            word(&bytes, 8),
            word(&bytes, 12),
        ])
    }

    /// The bytes of the address.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let mut at = 0;
        while at < bytes.len() {
            bytes[at] = self.0[at / 4].to_ne_bytes()[at % 4];
            at += 1;
        }
        bytes
    }

    /// The four words.
    #[inline(always)]
    pub const fn words(self) -> [u32; 4] {
        self.0
    }

    /// The word of an IPv4 address; of an IPv6 address, its last.
    #[inline(always)]
    pub const fn last_word(self) -> u32 {
        self.0[3]
    }

    /// Whether this is an IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        self.0[0] == 0 && self.0[1] == 0 && self.0[2] == MAPPED
    }

    /// Whether this is one of the metadata service's addresses.
    #[inline(always)]
    pub const fn is_metadata(self) -> bool {
        self.same(Self::METADATA_V4) || self.same(Self::METADATA_V6)
    }

    /// Whether both are the same. Word by word: the BPF target has no memcmp.
    #[inline(always)]
    pub const fn same(self, other: Self) -> bool {
        self.0[0] == other.0[0]
            && self.0[1] == other.0[1]
            && self.0[2] == other.0[2]
            && self.0[3] == other.0[3]
    }
}

#[inline(always)]
const fn word(bytes: &[u8; 16], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn address(text: &str) -> Address {
        let ip: Ipv6Addr = text
            .parse::<Ipv4Addr>()
            .map_or_else(|_| text.parse().unwrap(), |v4| v4.to_ipv6_mapped());
        Address::from_octets(ip.octets())
    }

    #[test]
    fn the_metadata_addresses_are_known_in_every_spelling() {
        for text in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(address(text).is_metadata(), "{text}");
        }
    }

    #[test]
    fn their_neighbours_are_not() {
        for text in [
            "169.254.169.253",
            "169.254.169.123",
            "169.254.170.2",
            "254.169.254.169",
            "0.0.0.0",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "fd00:ec2::253",
            "fd00:ec2::23",
            "fd00:ec2:0:1::254",
            "::1",
        ] {
            assert!(!address(text).is_metadata(), "{text}");
        }
    }

    #[test]
    fn octets_and_words_are_the_same_bytes() {
        let mapped = address("10.77.0.1");
        assert!(mapped.is_v4());
        assert_eq!(mapped.last_word().to_ne_bytes(), [10, 77, 0, 1]);
        assert_eq!(Address::v4(mapped.last_word()), mapped);
        assert_eq!(Address::from_octets(mapped.octets()), mapped);
        assert!(!address("fd77::1").is_v4());
    }
}
