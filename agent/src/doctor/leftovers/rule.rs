//! A rule that turns connections to the metadata address elsewhere, and what in a rule means that address.

use std::net::IpAddr;

use bpf2iam_ebpf::{address::Address, decide::METADATA_PORT};

/// Where the metadata service is.
const METADATA_V4: u32 = u32::from_be(Address::METADATA_V4.last_word());
const METADATA_V6: u128 = u128::from_be_bytes(Address::METADATA_V6.octets());
/// A network that is wider was not meant for the metadata service.
const WIDEST_V4: u8 = 16;
const WIDEST_V6: u8 = 32;

/// What turns a connection elsewhere, as iptables calls it.
pub(super) const TARGETS: [&str; 3] = ["DNAT", "REDIRECT", "TPROXY"];

/// A rule that turns connections to the metadata address elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its chain and table.
    pub(super) place: String,
    /// As its tool writes it.
    pub(super) text: String,
    /// The command that takes it away.
    pub(super) delete: String,
}

/// Whether an address, or a network as `ADDRESS/LENGTH`, is or has the metadata address.
pub(super) fn is_metadata(network: &str) -> bool {
    let (address, length) = match network.split_once('/') {
        Some((address, length)) => (address, length.parse().ok()),
        None => (network, Some(u8::MAX)),
    };
    let address = address.parse().ok();
    address
        .zip(length)
        .is_some_and(|(address, length)| has_metadata(address, length))
}

/// Whether the network with so long a prefix has the metadata address.
pub(super) fn has_metadata(network: IpAddr, length: u8) -> bool {
    match network {
        IpAddr::V4(v4) => {
            let differ = u32::from(v4) ^ METADATA_V4;
            let length = length.min(32);
            length >= WIDEST_V4 && differ.leading_zeros() >= length.into()
        }
        IpAddr::V6(v6) => {
            let differ = u128::from(v6) ^ METADATA_V6;
            let length = length.min(128);
            length >= WIDEST_V6 && differ.leading_zeros() >= length.into()
        }
    }
}

/// Whether ports, from one to another, have that of the metadata service.
pub(super) fn has_port(first: u16, last: u16) -> bool {
    (first..=last).contains(&METADATA_PORT)
}

/// The word as a shell takes it for one, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:+,=@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_be_a_little_wider_than_the_address() {
        for (network, is) in [
            ("169.254.169.254", true),
            ("169.254.169.254/32", true),
            ("169.254.169.0/24", true),
            ("169.254.0.0/16", true),
            ("169.254.169.253", false),
            ("169.254.169.253/31", false),
            ("169.254.170.0/24", false),
            ("169.0.0.0/8", false),
            ("0.0.0.0/0", false),
            ("fd00:ec2::254", true),
            ("fd00:ec2::254/128", true),
            ("fd00:ec2::/32", true),
            ("fd00::/16", false),
            ("::/0", false),
            ("169.254.169.254/x", false),
            ("imds", false),
            ("", false),
        ] {
            assert_eq!(is_metadata(network), is, "{network}");
        }
    }

    #[test]
    fn a_command_says_what_the_rule_says_and_nothing_else() {
        for (word, expected) in [
            ("--dport", "--dport"),
            ("10.0.0.1:8181", "10.0.0.1:8181"),
            ("cali+", "cali+"),
            ("", "''"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", r"'it'\''s'"),
            ("!", "'!'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
