//! What a program does with a connect, a message or a packet. Pure, so that every case is a test.
//!
//! The guarantee: a pod's traffic for the metadata address goes to the proxy or nowhere. The exceptions are
//! exempt cgroups, such as the agent's own, and an expired lease where the operator wanted it so.

use crate::{
    abi::{Active, Config, Lease},
    address::Address,
};

/// The port of the metadata service.
pub const METADATA_PORT: u16 = 80;

/// A destination that concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The metadata service.
    Metadata,
    /// The proxy itself, which a mesh's sidecar dials on behalf of its pod.
    Proxy,
}

/// How the bytes are to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, and MPTCP, whose connect is seen on its TCP subflow.
    Tcp,
    /// Whatever else.
    Other,
}

/// What counts at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub lease_deadline_ns: u64,
    /// The configuration that counts.
    pub config: Config,
    /// The one before it, whose proxy may still have clients.
    pub before: Config,
}

impl Rules {
    /// The rules of `leases` and `configs`, as `active` picks them.
    #[inline(always)]
    pub const fn new(
        active: Active,
        leases: [Lease; Config::COUNT],
        configs: [Config; Config::COUNT],
    ) -> Self {
        let [first, second] = configs;
        let (lease, config, before) = match active.config {
            0 => (leases[0], first, second),
            _ => (leases[1], second, first),
        };
        Self {
            lease_deadline_ns: lease.deadline_ns,
            config,
            before,
        }
    }
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The cgroup of the calling process.
    pub cgroup_id: u64,
    /// Whether it keeps its way to the real service: the agent itself, or in a pod that keeps the node's identity.
    pub exempt: bool,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub now_ns: u64,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on as it is; why.
    Pass(Pass),
    /// It goes to the proxy, which is at this address.
    Redirect(Address),
    /// It goes on, and the proxy shall know who it is.
    Record,
    /// It fails; why.
    Refuse(Refusal),
}

/// Why something passes that concerns us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The call of an exempt cgroup to the real service.
    Exempt,
    /// The agent is gone, and the operator wanted this to open the way.
    LeaseExpired,
    /// To the proxy, but in no way that the proxy answers.
    NotForUs,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has configured the programs.
    Off,
    /// The agent is gone.
    LeaseExpired,
    /// The metadata service speaks TCP only.
    NotTcp,
    /// The metadata service has one port.
    Port,
    /// The proxy does not listen in this address family.
    NoProxy,
}

/// Whether `address` and `port` concern us. Everything else is none of our business.
#[inline(always)]
pub fn destination(address: Address, port: u16, rules: &Rules) -> Option<Destination> {
    if address.is_metadata() {
        return Some(Destination::Metadata);
    }
    let proxy = is_proxy(address, port, &rules.config) || is_proxy(address, port, &rules.before);
    proxy.then_some(Destination::Proxy)
}

/// Whether `address` and `port` are where the proxy of `config` listens.
#[inline(always)]
fn is_proxy(address: Address, port: u16, config: &Config) -> bool {
    port == config.proxy_port && proxy_for(address, config).is_some_and(|proxy| proxy.same(address))
}

/// The proxy's address in the family of `address`.
#[inline(always)]
pub fn proxy_for(address: Address, config: &Config) -> Option<Address> {
    if address.is_v4() {
        let word = u32::from_ne_bytes(config.proxy_ip4);
        return (word != 0).then_some(Address::v4(word));
    }
    let proxy = Address::from_octets(config.proxy_ip6);
    let [a, b, c, d] = proxy.words();
    (a | b | c | d != 0).then_some(proxy)
}

/// What becomes of a `connect()` to `address` and `port`, which are `destination`.
#[inline(always)]
pub fn connect(
    destination: Destination,
    (address, port): (Address, u16),
    transport: Transport,
    caller: Caller,
    rules: &Rules,
) -> Verdict {
    if let Destination::Proxy = destination {
        return to_proxy(transport, caller, rules);
    }
    if let Err(verdict) = guarded(caller, rules) {
        return verdict;
    }
    match (transport, port, proxy_for(address, &rules.config)) {
        (Transport::Other, ..) => Verdict::Refuse(Refusal::NotTcp),
        (Transport::Tcp, METADATA_PORT, Some(proxy)) => Verdict::Redirect(proxy),
        (Transport::Tcp, METADATA_PORT, None) => Verdict::Refuse(Refusal::NoProxy),
        (Transport::Tcp, ..) => Verdict::Refuse(Refusal::Port),
    }
}

/// What becomes of a message or a packet to the metadata address that is no `connect()`: a datagram, a raw socket,
/// a connection that is older than the programs.
#[inline(always)]
pub fn send(caller: Caller, rules: &Rules) -> Verdict {
    match guarded(caller, rules) {
        Ok(()) => Verdict::Refuse(Refusal::NotTcp),
        Err(verdict) => verdict,
    }
}

/// Whether the proxy is to be asked at all; if not, what happens instead.
#[inline(always)]
fn guarded(caller: Caller, rules: &Rules) -> Result<(), Verdict> {
    if caller.exempt {
        return Err(Verdict::Pass(Pass::Exempt));
    }
    if rules.config.mode != Config::REDIRECT {
        return Err(Verdict::Refuse(Refusal::Off));
    }
    if caller.now_ns <= rules.lease_deadline_ns {
        return Ok(());
    }
    Err(match rules.config.on_expiry {
        Config::ALLOW => Verdict::Pass(Pass::LeaseExpired),
        _ => Verdict::Refuse(Refusal::LeaseExpired),
    })
}

/// A connect to the proxy is refused only when it cannot be recorded: without an agent the port may be somebody else's.
#[inline(always)]
fn to_proxy(transport: Transport, caller: Caller, rules: &Rules) -> Verdict {
    let alive = rules.config.mode == Config::REDIRECT && caller.now_ns <= rules.lease_deadline_ns;
    match transport {
        Transport::Tcp if alive && !caller.exempt => Verdict::Record,
        Transport::Tcp | Transport::Other => Verdict::Pass(Pass::NotForUs),
    }
}

#[cfg(test)]
mod tests;
