//! The programs, one function a hook. Each makes its decision in a module of its own and turns it into the
//! hook's return code here, and only here.
//!
//! Attach them all to one cgroup, the root of the pods. They see the sockets that were made in it and below.
//! Linux 5.15 or newer is supported; the youngest things they lean on are TCP options written in `sock_ops` (5.10).
//!
//! On the host this compiles too, so that it is checked like the rest, but it does nothing there.

#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    clippy::inline_always,
    reason = "a call is dear in BPF, and old kernels limit its depth"
)]

mod connect;
mod context;
mod count;
mod egress;
mod getpeername;
mod maps;
mod record;
mod send;

use aya_ebpf::{
    macros::{cgroup_skb, cgroup_sock_addr, sock_ops},
    programs::{SkBuffContext, SockAddrContext, SockOpsContext},
};

use context::{Family, Packet, SockAddr, SockOps};

/// A hook's answer to the kernel.
#[derive(Clone, Copy)]
enum Outcome {
    /// The call goes on, with what was changed in it.
    Allow,
    /// The call fails with EPERM; a packet is dropped.
    Deny,
}

impl Outcome {
    const fn code(self) -> i32 {
        match self {
            Self::Allow => 1,
            Self::Deny => 0,
        }
    }
}

/// `connect()` of an IPv4 socket.
#[cgroup_sock_addr(connect4)]
fn imds_connect4(ctx: SockAddrContext) -> i32 {
    connect::on_connect(&SockAddr::new(ctx, Family::V4)).code()
}

/// `connect()` of an IPv6 socket, to an IPv4 address as well (`::ffff:169.254.169.254`, as Java does).
#[cgroup_sock_addr(connect6)]
fn imds_connect6(ctx: SockAddrContext) -> i32 {
    connect::on_connect(&SockAddr::new(ctx, Family::V6)).code()
}

/// `getpeername()` of an IPv4 socket.
#[cgroup_sock_addr(getpeername4)]
fn imds_getpeer4(ctx: SockAddrContext) -> i32 {
    getpeername::on_getpeername(&SockAddr::new(ctx, Family::V4));
    Outcome::Allow.code()
}

/// `getpeername()` of an IPv6 socket.
#[cgroup_sock_addr(getpeername6)]
fn imds_getpeer6(ctx: SockAddrContext) -> i32 {
    getpeername::on_getpeername(&SockAddr::new(ctx, Family::V6));
    Outcome::Allow.code()
}

/// `sendto()` and `sendmsg()` with an IPv4 address on a UDP socket.
#[cgroup_sock_addr(sendmsg4)]
fn imds_sendmsg4(ctx: SockAddrContext) -> i32 {
    send::on_sendmsg(&SockAddr::new(ctx, Family::V4)).code()
}

/// `sendto()` and `sendmsg()` with an IPv6 address on a UDP socket.
#[cgroup_sock_addr(sendmsg6)]
fn imds_sendmsg6(ctx: SockAddrContext) -> i32 {
    send::on_sendmsg(&SockAddr::new(ctx, Family::V6)).code()
}

/// What happens to a TCP socket. The kernel wants 1 whatever we did.
#[sock_ops]
fn imds_sockops(ctx: SockOpsContext) -> u32 {
    record::on_sock_ops(&SockOps::new(ctx));
    1
}

/// Each packet that leaves a socket: what did not come by way of `connect()` is caught here.
#[cgroup_skb(egress)]
fn imds_egress(ctx: SkBuffContext) -> i32 {
    egress::on_packet(&Packet::new(ctx)).code()
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses this loop: a program that could panic does not load.
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}

/// aya-log and `bpf_ktime_get_ns` need a licence that the kernel takes for GPL-compatible.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
