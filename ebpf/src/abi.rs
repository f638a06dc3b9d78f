//! The values of the maps, as the kernel and user space both see them.
//!
//! Every struct is `repr(C)` without a hole: what would be padding is a field. Addresses are bytes in network
//! order, so that `bpftool map dump` shows them as they are written; ports and ids are numbers of the host.
//! A change of any layout here is a new ABI.

use core::mem::offset_of;

/// The number of this layout. It is part of the path under which the maps are pinned: programs of two layouts never
/// share a map.
pub const VERSION: u32 = if cfg!(feature = "next-abi") { 3 } else { 2 };

/// How long the programs trust the agent of a configuration, in `IMDS_LEASE` at the configuration's key: a word for another
/// agent never prolongs the trust in this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Lease {
    /// When its word ends, in nanoseconds of `CLOCK_MONOTONIC`. It renews it as long as it lives.
    pub deadline_ns: u64,
}

/// Which configuration counts, in `IMDS_ACTIVE` at key 0. Whoever takes over writes the other configuration first, and then
/// switches everything at once by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Active {
    /// The key in `IMDS_CONFIG` and `IMDS_LEASE`.
    pub config: u32,
}

/// How the programs treat connects, as one agent says it. `IMDS_CONFIG` has two: the one that counts ([`Active`]), and
/// the one before it, whose proxy is still told who connects until its agent has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Config {
    /// Which agent wrote this: a random number; 0 for nobody.
    pub owner: u64,
    /// Where the proxy listens for IPv6; all zero for nowhere.
    pub proxy_ip6: [u8; 16],
    /// Where the proxy listens for IPv4; all zero for nowhere.
    pub proxy_ip4: [u8; 4],
    /// The proxy's port, the same for both families. Host order.
    pub proxy_port: u16,
    /// What an expired lease does: [`Config::DENY`] or [`Config::ALLOW`].
    pub on_expiry: u8,
    /// [`Config::REFUSE`] or [`Config::REDIRECT`].
    pub mode: u8,
}

impl core::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("<key>")
    }
}

impl Config {
    /// How many there are.
    pub const COUNT: usize = 2;
    /// `on_expiry`: connects to the metadata address fail.
    pub const DENY: u8 = 0;
    /// `on_expiry`: connects go on to the real service, as if there were no agent.
    pub const ALLOW: u8 = 1;
    /// `mode`: connects to the metadata address fail. What a map holds before anybody has written it.
    pub const REFUSE: u8 = 0;
    /// `mode`: connects to the metadata address go to the proxy.
    pub const REDIRECT: u8 = 1;
}

/// The key of session tokens, in `IMDS_TOKEN_KEY` at key 0; all zero for none. No program reads it: it is there so that it
/// outlives the agent, in kernel memory and on no disk.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TokenKey {
    /// As the agent made them.
    pub bytes: [u8; 32],
}

/// How many cgroups `IMDS_EXEMPT` holds: those of agents, of which two are there during an upgrade, and of pods that keep the
/// node's own identity.
pub const MAX_EXEMPT: usize = 1024;

/// Whose cgroup it is that `IMDS_EXEMPT` has as a key: who is in it reaches the real service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Exempt {
    /// An agent's: its own calls would come back to it.
    Agent = 1,
    /// The own cgroup of a pod that keeps the node's identity: who is below it does as well.
    Pod = 2,
}

/// The deepest level of the cgroup tree at which a pod's own cgroup is looked for; the root is 0. On a node it is the third
/// at most, in a node that is a container itself (kind) some more.
pub const MAX_POD_LEVEL: i32 = 8;

/// What a socket's `connect()` was about; `IMDS_SOCKETS` keeps it as long as the socket lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Socket {
    /// The cgroup of the process that called `connect()`.
    pub cgroup_id: u64,
    /// The socket's network namespace.
    pub netns_cookie: u64,
    /// The address that the client asked for, IPv4 mapped into IPv6.
    pub dst_ip: [u8; 16],
    /// The address of the proxy it was sent to, IPv4 mapped into IPv6. By the time of the next hook another proxy may
    /// count.
    pub proxy_ip: [u8; 16],
    /// That proxy's port. Host order.
    pub proxy_port: u16,
    /// 1 when the client asked for the proxy itself.
    pub direct: u8,
    /// Zero.
    pub pad: [u8; 5],
}

/// A connection to the proxy; `IMDS_CONNS` has it under the client socket's cookie until the socket closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Conn {
    /// The cgroup of the process that called `connect()`.
    pub cgroup_id: u64,
    /// The client socket's network namespace.
    pub netns_cookie: u64,
    /// When, in nanoseconds of `CLOCK_MONOTONIC`.
    pub connect_ns: u64,
    /// The client's address, IPv4 mapped into IPv6.
    pub client_ip: [u8; 16],
    /// The client's port. Host order.
    pub client_port: u16,
    /// 1 when the client dialled the proxy itself.
    pub direct: u8,
    /// Zero.
    pub pad: [u8; 5],
}

/// How many connections `IMDS_CONNS` holds. A client's entry must survive from its SYN to our `accept()`; the
/// kernel drops the least recently used first.
pub const MAX_CONNS: usize = 65_536;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What the programs count, per CPU, in `IMDS_COUNTERS` at key 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// Each counter with its name, in the order of the struct.
            pub fn each(&self) -> [(&'static str, u64); size_of::<Self>() / size_of::<u64>()] {
                [$((stringify!($name), self.$name)),+]
            }

            /// Adds what another CPU counted.
            pub fn add(&mut self, other: &Self) {
                $(self.$name = self.$name.wrapping_add(other.$name);)+
            }
        }
    };
}

counters! {
    /// Connects to the metadata address that were sent to the proxy.
    redirected,
    /// Connects to the proxy's own address.
    direct,
    /// Connects and messages of exempt cgroups, such as the agent's own, to the metadata address.
    exempt,
    /// Connects and messages to the metadata address that passed because the lease had expired.
    lease_passed,
    /// Connects and messages to the metadata address that were refused because the lease had expired.
    lease_refused,
    /// Connects and messages that were refused because the agent had not configured us.
    refused_off,
    /// Connects or messages that were no TCP.
    refused_not_tcp,
    /// Connects to another port of the metadata address.
    refused_port,
    /// Connects in an address family for which there is no proxy.
    refused_no_proxy,
    /// Connects that were refused because the kernel had no memory for the socket's storage.
    failed_storage,
    /// Connections that could not be recorded.
    failed_record,
    /// SYNs without room for the cookie.
    failed_option_room,
    /// SYNs into which the cookie could not be written.
    failed_option_store,
    /// Packets to the metadata address that did not come by way of `connect()`.
    dropped_packets,
}

/// The TCP option that carries the client socket's cookie in the SYN: kind 253 (RFC 3692, RFC 4727), its length, our
/// experiment id (RFC 6994) and the cookie in network order.
pub mod syn_option {
    /// "RFC3692-style experiment 1".
    pub const KIND: u8 = 253;
    /// Of the whole option.
    pub const LEN: u8 = 12;
    /// Tells our experiment from others that use the same kind.
    pub const EXPERIMENT: [u8; 2] = [0xeb, 0x9f];

    /// The option for the socket with this cookie.
    pub const fn encode(cookie: u64) -> [u8; LEN as usize] {
        let (cookie, mut option) = (cookie.to_be_bytes(), [0; LEN as usize]);
        (option[0], option[1]) = (KIND, LEN);
        [option[2], option[3]] = EXPERIMENT;
        let mut at = 0;
        while at < cookie.len() {
            option[4 + at] = cookie[at];
            at += 1;
        }
        option
    }
}

const _: () = {
    assert!(size_of::<Lease>() == 8);
    assert!(size_of::<Active>() == 4);
    assert!(size_of::<Config>() == 32);
    assert!(offset_of!(Config, proxy_ip6) == 8);
    assert!(offset_of!(Config, proxy_ip4) == 24);
    assert!(offset_of!(Config, proxy_port) == 28);
    assert!(offset_of!(Config, mode) == 31);
    assert!(size_of::<Socket>() == 56);
    assert!(offset_of!(Socket, dst_ip) == 16);
    assert!(offset_of!(Socket, proxy_ip) == 32);
    assert!(offset_of!(Socket, proxy_port) == 48);
    assert!(offset_of!(Socket, direct) == 50);
    assert!(size_of::<Conn>() == 48);
    assert!(offset_of!(Conn, client_ip) == 24);
    assert!(offset_of!(Conn, client_port) == 40);
    assert!(offset_of!(Conn, direct) == 42);
    assert!(size_of::<Counters>() == 14 * size_of::<u64>());
};

#[cfg(feature = "user")]
#[expect(unsafe_code, reason = "user space promises that any bytes are a value")]
mod user {
    use super::{Active, Config, Conn, Counters, Lease, TokenKey};

    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (asserted above).
    unsafe impl aya::Pod for Lease {}
    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (asserted above).
    unsafe impl aya::Pod for Active {}
    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (asserted above).
    unsafe impl aya::Pod for Config {}
    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (only bytes).
    unsafe impl aya::Pod for TokenKey {}
    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (asserted above).
    unsafe impl aya::Pod for Conn {}
    // SAFETY: repr(C), every bit pattern is valid, and there is no padding (only u64).
    unsafe impl aya::Pod for Counters {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwritten_config_refuses() {
        let config = Config::default();
        assert_eq!(
            (config.mode, config.on_expiry),
            (Config::REFUSE, Config::DENY)
        );
    }

    #[test]
    fn counters_of_two_cpus_add_up_by_name() {
        let mut sum = Counters {
            redirected: 1,
            dropped_packets: u64::MAX,
            ..Counters::default()
        };
        sum.add(&Counters {
            redirected: 2,
            dropped_packets: 2,
            ..Counters::default()
        });
        let each = sum.each();
        assert_eq!(each[0], ("redirected", 3));
        assert_eq!(each[each.len() - 1], ("dropped_packets", 1));
    }

    #[test]
    fn the_option_carries_the_cookie_in_network_order() {
        let option = syn_option::encode(0x0102_0304_0506_0708);
        assert_eq!(option, [253, 12, 0xeb, 0x9f, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
