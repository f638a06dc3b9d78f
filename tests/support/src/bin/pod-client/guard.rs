//! Keeps this program away from the real metadata service.

use std::{env, fs, net::Ipv6Addr};

use bpf2iam_support::addresses::MARK;

use crate::trouble::Trouble;

/// Says that this is a container, whose first process is one of its own.
const CONTAINER: &str = "BPF2IAM_POD_CLIENT_IN_CONTAINER";

/// Fails everywhere but in a network namespace that the harness made and proved to have no uplink: such a
/// one bears a mark. Fails as well where the machine's first process lives, if that can be seen; what is first in a
/// container is not it.
pub(crate) fn refuse_the_machines_network() -> Result<(), Trouble> {
    let addresses = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let own = fs::read_link("/proc/self/ns/net").ok();
    let first = fs::read_link("/proc/1/ns/net").ok();
    let apart = own != first || env::var_os(CONTAINER).is_some();
    if is_marked(&addresses) && own.is_some() && apart {
        return Ok(());
    }
    let why = "this is no network namespace of a test's own; run it in one without uplink";
    Err(Trouble::Refused(why.to_owned()))
}

/// Whether the loopback device has the mark. Lines are `ADDRESS INDEX LENGTH SCOPE FLAGS DEVICE`.
fn is_marked(if_inet6: &str) -> bool {
    if_inet6.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let address = fields
            .next()
            .and_then(|hex| u128::from_str_radix(hex, 16).ok());
        address.map(Ipv6Addr::from_bits) == Some(MARK) && fields.last() == Some("lo")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_network_is_refused() {
        assert!(refuse_the_machines_network().is_err());
    }

    #[test]
    fn only_the_mark_on_the_loopback_device_counts() {
        let mark = format!("{:032x}", MARK.to_bits());
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        assert!(is_marked(&format!(
            "{loopback}{mark} 01 80 00 80       lo\n"
        )));
        assert!(!is_marked(&format!(
            "{loopback}{mark} 02 80 00 80     eth0\n"
        )));
        assert!(!is_marked(loopback));
        assert!(!is_marked(""));
    }
}
