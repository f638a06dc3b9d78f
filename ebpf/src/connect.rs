//! `connect()`: a pod's call to the metadata address goes to the proxy, and the socket remembers who made it.
//!
//! The cgroup is that of the process that calls `connect()`. `sock_ops` cannot ask for it on Linux 6.1, so it is
//! taken here and carried in the socket's storage.

use aya_ebpf::helpers::generated::{
    bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_ktime_get_ns,
};
use aya_log_ebpf::{debug, trace};
use bpf2iam_ebpf::{
    abi::{MAX_POD_LEVEL, Socket},
    address::Address,
    decide::{self, Caller, Pass, Refusal, Verdict},
};

use crate::{Outcome, context::SockAddr, count::count, maps};

/// Why a connect that should go on cannot.
enum Error {
    /// The maps of the configuration have no elements: cannot be, but the verifier wants to see it handled.
    NoRules,
    /// The kernel gave no socket, or no memory for its storage.
    NoStorage,
}

#[inline(always)]
pub(crate) fn on_connect(call: &SockAddr) -> Outcome {
    match decided(call) {
        Ok(outcome) => outcome,
        Err(Error::NoRules) => Outcome::Deny,
        Err(Error::NoStorage) => {
            count(|counters| &mut counters.failed_storage);
            Outcome::Deny
        }
    }
}

#[inline(always)]
fn decided(call: &SockAddr) -> Result<Outcome, Error> {
    let (address, port) = (call.address(), call.port());
    let rules = maps::rules().ok_or(Error::NoRules)?;
    let Some(destination) = decide::destination(address, port, &rules) else {
        return Ok(Outcome::Allow);
    };
    let caller = caller();
    let asked = (address, port);
    match decide::connect(destination, asked, call.transport(), caller, &rules) {
        Verdict::Redirect(proxy) => {
            redirect(call, caller, address, (proxy, rules.config.proxy_port))
        }
        Verdict::Record => record(call, caller, asked),
        Verdict::Pass(why) => {
            forget(call);
            passed(why);
            Ok(Outcome::Allow)
        }
        Verdict::Refuse(why) => {
            debug!(
                call.context(),
                "refused a connect from cgroup {} to port {}", caller.cgroup_id, port
            );
            refused(why);
            Ok(Outcome::Deny)
        }
    }
}

#[inline(always)]
fn redirect(
    call: &SockAddr,
    caller: Caller,
    asked: Address,
    (proxy, port): (Address, u16),
) -> Result<Outcome, Error> {
    remember(call, caller, asked, (proxy, port, 0))?;
    call.set(proxy, port);
    debug!(
        call.context(),
        "redirected a connect from cgroup {}", caller.cgroup_id
    );
    count(|counters| &mut counters.redirected);
    Ok(Outcome::Allow)
}

#[inline(always)]
fn record(
    call: &SockAddr,
    caller: Caller,
    (proxy, port): (Address, u16),
) -> Result<Outcome, Error> {
    remember(call, caller, proxy, (proxy, port, 1))?;
    trace!(
        call.context(),
        "recorded a direct connect from cgroup {}", caller.cgroup_id
    );
    count(|counters| &mut counters.direct);
    Ok(Outcome::Allow)
}

/// The process that makes the call, at this moment.
#[inline(always)]
pub(crate) fn caller() -> Caller {
    // SAFETY: the helper takes nothing.
    let cgroup_id = unsafe { bpf_get_current_cgroup_id() };
    of_cgroup(cgroup_id, |level| {
        // SAFETY: the helper takes any number.
        unsafe { bpf_get_current_ancestor_cgroup_id(level) }
    })
}

/// Whoever is in this cgroup, at this moment. `ancestor` says which cgroup is above it, or is itself, at a level; 0 for none.
#[inline(always)]
pub(crate) fn of_cgroup(cgroup_id: u64, ancestor: impl Fn(i32) -> u64) -> Caller {
    Caller {
        cgroup_id,
        exempt: maps::is_exempt(cgroup_id) || is_below_exempt(ancestor),
        now_ns: now_ns(),
    }
}

/// A pod is exempt by its own cgroup, and runs in those below.
#[inline(always)]
fn is_below_exempt(ancestor: impl Fn(i32) -> u64) -> bool {
    for level in 1..=MAX_POD_LEVEL {
        let cgroup_id = ancestor(level);
        if cgroup_id == 0 {
            return false;
        }
        if maps::is_exempt_pod(cgroup_id) {
            return true;
        }
    }
    false
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: the helper takes nothing.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn remember(
    call: &SockAddr,
    caller: Caller,
    dst: Address,
    (proxy, proxy_port, direct): (Address, u16, u8),
) -> Result<(), Error> {
    let sk = call.sk().ok_or(Error::NoStorage)?;
    let socket = Socket {
        cgroup_id: caller.cgroup_id,
        netns_cookie: call.netns_cookie(),
        dst_ip: dst.octets(),
        proxy_ip: proxy.octets(),
        proxy_port,
        direct,
        pad: [0; 5],
    };
    maps::keep_socket(sk, socket)
        .then_some(())
        .ok_or(Error::NoStorage)
}

/// A socket that was connected to the proxy before and is connected anew must not keep the old caller.
#[inline(always)]
fn forget(call: &SockAddr) {
    if let Some(sk) = call.sk() {
        maps::forget_socket(sk);
    }
}

/// Counts something that passed although it concerns us.
#[inline(always)]
pub(crate) fn passed(why: Pass) {
    match why {
        Pass::Exempt => count(|counters| &mut counters.exempt),
        Pass::LeaseExpired => count(|counters| &mut counters.lease_passed),
        Pass::NotForUs => {}
    }
}

/// Counts something that was refused.
#[inline(always)]
pub(crate) fn refused(why: Refusal) {
    match why {
        Refusal::Off => count(|counters| &mut counters.refused_off),
        Refusal::LeaseExpired => count(|counters| &mut counters.lease_refused),
        Refusal::NotTcp => count(|counters| &mut counters.refused_not_tcp),
        Refusal::Port => count(|counters| &mut counters.refused_port),
        Refusal::NoProxy => count(|counters| &mut counters.refused_no_proxy),
    }
}
