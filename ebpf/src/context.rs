//! The kernel's context structs, read and written field by field.
//!
//! All accesses are volatile and at constant offsets: the verifier refuses a context pointer that was changed
//! (`dereference of modified ctx ptr`), which is what the compiler makes of two merged branches.

use core::ptr::NonNull;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{bpf_sock, bpf_sock_addr, bpf_sock_ops},
    helpers::generated::{
        bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_reserve_hdr_opt,
        bpf_skb_ancestor_cgroup_id, bpf_skb_cgroup_id, bpf_sock_ops_cb_flags_set,
        bpf_store_hdr_opt,
    },
    programs::{SkBuffContext, SockAddrContext, SockOpsContext},
};
use bpf2iam_ebpf::{address::Address, decide::Transport};

/// `AF_INET6`.
const AF_INET6: u32 = 10;
/// `SOCK_STREAM`.
const SOCK_STREAM: u32 = 1;
/// `IPPROTO_TCP`.
const IPPROTO_TCP: u32 = 6;

macro_rules! load {
    ($ptr:expr, $($field:tt)+) => {
        // SAFETY: the context pointer is the kernel's own; the verifier checks the offset.
        unsafe { (&raw const (*$ptr).$($field)+).read_volatile() }
    };
}

macro_rules! store {
    ($ptr:expr, $value:expr => $($field:tt)+) => {
        // SAFETY: as in `load`; the verifier lets these fields be written in connect and getpeername hooks.
        unsafe { (&raw mut (*$ptr).$($field)+).write_volatile($value) }
    };
}

/// The address family of a hook, which is that of the socket address it was given.
#[derive(Clone, Copy)]
pub(crate) enum Family {
    V4,
    V6,
}

/// The context of the connect, sendmsg and getpeername hooks.
pub(crate) struct SockAddr {
    ctx: SockAddrContext,
    family: Family,
}

impl SockAddr {
    #[inline(always)]
    pub(crate) const fn new(ctx: SockAddrContext, family: Family) -> Self {
        Self { ctx, family }
    }

    #[inline(always)]
    const fn raw(&self) -> *mut bpf_sock_addr {
        self.ctx.sock_addr
    }

    /// For aya-log, which takes the context.
    #[inline(always)]
    pub(crate) const fn context(&self) -> &SockAddrContext {
        &self.ctx
    }

    /// The address in the call.
    #[inline(always)]
    pub(crate) fn address(&self) -> Address {
        let ctx = self.raw();
        match self.family {
            Family::V4 => Address::v4(load!(ctx, user_ip4)),
            Family::V6 => Address::v6([
                load!(ctx, user_ip6[0]),
                load!(ctx, user_ip6[1]),
                load!(ctx, user_ip6[2]),
                load!(ctx, user_ip6[3]),
            ]),
        }
    }

    /// The port in the call.
    #[inline(always)]
    pub(crate) fn port(&self) -> u16 {
        // Network order in the lower half.
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is zero")]
        u16::from_be(load!(self.raw(), user_port) as u16)
    }

    /// Puts another address and port into the call.
    #[inline(always)]
    pub(crate) fn set(&self, address: Address, port: u16) {
        let ctx = self.raw();
        match self.family {
            Family::V4 => store!(ctx, address.last_word() => user_ip4),
            Family::V6 => {
                let [a, b, c, d] = address.words();
                store!(ctx, a => user_ip6[0]);
                store!(ctx, b => user_ip6[1]);
                store!(ctx, c => user_ip6[2]);
                store!(ctx, d => user_ip6[3]);
            }
        }
        store!(ctx, u32::from(port.to_be()) => user_port);
    }

    /// What the socket speaks.
    #[inline(always)]
    pub(crate) fn transport(&self) -> Transport {
        let (kind, protocol) = (load!(self.raw(), type_), load!(self.raw(), protocol));
        if kind == SOCK_STREAM && protocol == IPPROTO_TCP {
            Transport::Tcp
        } else {
            Transport::Other
        }
    }

    /// The socket.
    #[inline(always)]
    pub(crate) fn sk(&self) -> Option<NonNull<bpf_sock>> {
        NonNull::new(load!(self.raw(), __bindgen_anon_1.sk))
    }

    /// The cookie of the socket's network namespace. Linux 5.7.
    #[inline(always)]
    pub(crate) fn netns_cookie(&self) -> u64 {
        // SAFETY: the helper takes this context.
        unsafe { bpf_get_netns_cookie(self.ctx.as_ptr()) }
    }
}

/// The context of the `sock_ops` hook.
pub(crate) struct SockOps(SockOpsContext);

/// The two ends of a TCP socket.
pub(crate) struct Ends {
    pub(crate) local: Address,
    pub(crate) local_port: u16,
    pub(crate) remote: Address,
    pub(crate) remote_port: u16,
}

impl SockOps {
    #[inline(always)]
    pub(crate) const fn new(ctx: SockOpsContext) -> Self {
        Self(ctx)
    }

    #[inline(always)]
    const fn raw(&self) -> *mut bpf_sock_ops {
        self.0.ops
    }

    /// For aya-log, which takes the context.
    #[inline(always)]
    pub(crate) const fn context(&self) -> &SockOpsContext {
        &self.0
    }

    /// What happened.
    #[inline(always)]
    pub(crate) fn op(&self) -> u32 {
        load!(self.raw(), op)
    }

    /// The new state, when the state has changed.
    #[inline(always)]
    pub(crate) fn new_state(&self) -> u32 {
        load!(self.raw(), __bindgen_anon_1.args[1])
    }

    /// The socket.
    #[inline(always)]
    pub(crate) fn sk(&self) -> Option<NonNull<bpf_sock>> {
        NonNull::new(load!(self.raw(), __bindgen_anon_2.sk))
    }

    /// Both ends. Everything is loaded before anything is chosen.
    #[inline(always)]
    pub(crate) fn ends(&self) -> Ends {
        let ops = self.raw();
        let (family, local4, remote4) = (
            load!(ops, family),
            load!(ops, local_ip4),
            load!(ops, remote_ip4),
        );
        let local6 = Address::v6([
            load!(ops, local_ip6[0]),
            load!(ops, local_ip6[1]),
            load!(ops, local_ip6[2]),
            load!(ops, local_ip6[3]),
        ]);
        let remote6 = Address::v6([
            load!(ops, remote_ip6[0]),
            load!(ops, remote_ip6[1]),
            load!(ops, remote_ip6[2]),
            load!(ops, remote_ip6[3]),
        ]);
        let (local_port, remote_port) = (load!(ops, local_port), load!(ops, remote_port));
        let (local, remote) = match family {
            AF_INET6 => (local6, remote6),
            _ => (Address::v4(local4), Address::v4(remote4)),
        };
        // The local port is in host order, the remote one in network order in the lower half or the upper one,
        // depending on the machine's own order: as a whole it is a big-endian word.
        #[expect(clippy::cast_possible_truncation, reason = "ports have 16 bits")]
        let (local_port, remote_port) = (local_port as u16, u32::from_be(remote_port) as u16);
        Ends {
            local,
            local_port,
            remote,
            remote_port,
        }
    }

    /// The socket's cookie. Linux 4.12.
    #[inline(always)]
    pub(crate) fn cookie(&self) -> u64 {
        // SAFETY: the helper takes this context.
        unsafe { bpf_get_socket_cookie(self.0.as_ptr()) }
    }

    /// Asks for more calls for this socket, besides those that others asked for.
    #[inline(always)]
    pub(crate) fn ask_for(&self, flags: u32) {
        self.set_flags(load!(self.raw(), bpf_sock_ops_cb_flags) | flags);
    }

    /// Wants no more calls of this kind for this socket.
    #[inline(always)]
    pub(crate) fn no_more(&self, flags: u32) {
        self.set_flags(load!(self.raw(), bpf_sock_ops_cb_flags) & !flags);
    }

    #[inline(always)]
    fn set_flags(&self, flags: u32) {
        // SAFETY: the helper takes this context. It fails only for flags that the kernel does not know.
        unsafe { bpf_sock_ops_cb_flags_set(self.raw(), flags.cast_signed()) };
    }

    /// The TCP flags of the segment whose options are being written. Linux 5.10.
    #[inline(always)]
    pub(crate) fn segment_flags(&self) -> u32 {
        load!(self.raw(), skb_tcp_flags)
    }

    /// Makes room for an option of `len` bytes. Linux 5.10.
    #[inline(always)]
    pub(crate) fn reserve_option(&self, len: u8) -> bool {
        // SAFETY: the helper takes this context.
        unsafe { bpf_reserve_hdr_opt(self.raw(), u32::from(len), 0) == 0 }
    }

    /// Writes an option into the room made for it. Linux 5.10.
    #[inline(always)]
    pub(crate) fn store_option<const N: usize>(&self, option: &[u8; N]) -> bool {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "TCP has 40 bytes for options"
        )]
        let len = N as u32;
        // SAFETY: the helper takes this context and reads N bytes.
        unsafe { bpf_store_hdr_opt(self.raw(), option.as_ptr().cast(), len, 0) == 0 }
    }
}

/// The context of the egress hook: a packet that begins with its IP header.
pub(crate) struct Packet(SkBuffContext);

/// `ETH_P_IP`.
const ETH_P_IP: u16 = 0x0800;
/// Where the destination lies in an IPv4 header.
const IPV4_DST: usize = 16;
/// Where the destination lies in an IPv6 header.
const IPV6_DST: usize = 24;

impl Packet {
    #[inline(always)]
    pub(crate) const fn new(ctx: SkBuffContext) -> Self {
        Self(ctx)
    }

    /// For aya-log, which takes the context.
    #[inline(always)]
    pub(crate) const fn context(&self) -> &SkBuffContext {
        &self.0
    }

    /// The cgroup of the socket that the packet comes from. Linux 4.18.
    #[inline(always)]
    pub(crate) fn cgroup_id(&self) -> u64 {
        // SAFETY: the helper takes this context.
        unsafe { bpf_skb_cgroup_id(self.0.skb.skb) }
    }

    /// The cgroup at this level above that one, or that one itself; 0 if it is not so deep. Linux 5.2.
    #[inline(always)]
    pub(crate) fn ancestor_cgroup_id(&self, level: i32) -> u64 {
        // SAFETY: the helper takes this context and any number.
        unsafe { bpf_skb_ancestor_cgroup_id(self.0.skb.skb, level) }
    }

    /// The destination in the header; `None` when there is no whole one.
    #[inline(always)]
    pub(crate) fn destination(&self) -> Option<Address> {
        if load!(self.0.skb.skb, protocol) == u32::from(ETH_P_IP.to_be()) {
            return self.word(IPV4_DST).map(Address::v4);
        }
        Some(Address::v6([
            self.word(IPV6_DST)?,
            self.word(IPV6_DST + 4)?,
            self.word(IPV6_DST + 8)?,
            self.word(IPV6_DST + 12)?,
        ]))
    }

    #[inline(always)]
    fn word(&self, offset: usize) -> Option<u32> {
        let data = load!(self.0.skb.skb, data) as usize;
        let end = load!(self.0.skb.skb, data_end) as usize;
        if data + offset + 4 > end {
            return None;
        }
        // SAFETY: the four bytes lie within the packet, as was just checked; IP headers are aligned to 4 bytes.
        Some(unsafe { ((data + offset) as *const u32).read() })
    }
}
