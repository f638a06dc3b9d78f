//! Our programs, and where each belongs.
//!
//! The order matters. What records a connection is there before anything is redirected, and packets are dropped
//! only when connects no longer make them.

use std::ffi::OsStr;

/// One of our programs.
pub(super) struct Hook {
    /// Its name in the object and in `bpftool`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// `enum bpf_attach_type`.
    pub(super) attach_type: u32,
    /// As `bpftool` calls the place.
    pub(super) place: &'static str,
}

/// The type of a program.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    SockAddr,
    SockOps,
    Egress,
}

const fn hook(name: &'static str, kind: Kind, attach_type: u32, place: &'static str) -> Hook {
    Hook {
        name,
        kind,
        attach_type,
        place,
    }
}

/// All programs, in the order in which they are attached.
pub(super) const HOOKS: [Hook; 8] = [
    hook("imds_sockops", Kind::SockOps, 3, "cgroup_sock_ops"),
    hook(
        "imds_getpeer4",
        Kind::SockAddr,
        29,
        "cgroup_inet4_getpeername",
    ),
    hook(
        "imds_getpeer6",
        Kind::SockAddr,
        30,
        "cgroup_inet6_getpeername",
    ),
    hook("imds_connect4", Kind::SockAddr, 10, "cgroup_inet4_connect"),
    hook("imds_connect6", Kind::SockAddr, 11, "cgroup_inet6_connect"),
    hook("imds_sendmsg4", Kind::SockAddr, 14, "cgroup_udp4_sendmsg"),
    hook("imds_sendmsg6", Kind::SockAddr, 15, "cgroup_udp6_sendmsg"),
    hook("imds_egress", Kind::Egress, 1, "cgroup_inet_egress"),
];

/// Where the link called `name` comes when they are taken away: in the reverse order of attaching, strangers first.
pub(super) fn order(name: &OsStr) -> usize {
    let at = HOOKS.iter().position(|hook| name == hook.name);
    at.map_or(0, |at| HOOKS.len() - at)
}
