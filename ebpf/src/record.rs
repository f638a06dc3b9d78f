//! The life of a connection to the proxy, as its client's socket sees it.
//!
//! `TCP_CONNECT_CB` runs when the local port is known and the SYN is not yet made: the record is there before
//! the proxy can accept. The SYN then carries the socket's cookie, which is the record's key. A key made of
//! addresses would not do: another pod can make a connection with the same ones in a namespace of its own.

use aya_ebpf::bindings::{
    BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_HDR_OPT_LEN_CB, BPF_SOCK_OPS_STATE_CB,
    BPF_SOCK_OPS_STATE_CB_FLAG, BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_SOCK_OPS_WRITE_HDR_OPT_CB,
    BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, BPF_TCP_CLOSE,
};
use aya_log_ebpf::trace;
use bpf2iam_ebpf::{
    abi::{Conn, Socket, syn_option},
    address::Address,
};

use crate::{
    connect::now_ns,
    context::{Ends, SockOps},
    count::count,
    maps,
};

/// SYN and ACK in a segment's flags.
const SYN_ACK: u32 = 0x12;
/// SYN alone: the first segment of a client.
const SYN: u32 = 0x02;

#[inline(always)]
pub(crate) fn on_sock_ops(event: &SockOps) {
    match event.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => connecting(event),
        BPF_SOCK_OPS_HDR_OPT_LEN_CB if is_our_syn(event) => reserve(event),
        BPF_SOCK_OPS_WRITE_HDR_OPT_CB if is_our_syn(event) => store(event),
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => established(event),
        BPF_SOCK_OPS_STATE_CB if event.new_state() == BPF_TCP_CLOSE => closed(event),
        _ => {}
    }
}

/// Whether an option is being written into a SYN of ours. Others may have asked for the call, and after a connect
/// that failed the socket may be going elsewhere: our option has no business there.
#[inline(always)]
fn is_our_syn(event: &SockOps) -> bool {
    event.segment_flags() & SYN_ACK == SYN && bound_for_proxy(event).is_some()
}

/// What `connect()` kept at the socket, if it is on its way to the proxy that it was sent to.
#[inline(always)]
fn bound_for_proxy(event: &SockOps) -> Option<(Socket, Ends)> {
    let socket = event.sk().and_then(maps::socket)?;
    let ends = event.ends();
    leads_to_proxy(&socket, ends.remote, ends.remote_port).then_some((socket, ends))
}

/// Whether `address` and `port` are those of the proxy that the socket was sent to. `connect(AF_UNSPEC)` frees a socket
/// for another server, and leaves its storage.
#[inline(always)]
pub(crate) fn leads_to_proxy(socket: &Socket, address: Address, port: u16) -> bool {
    port == socket.proxy_port && Address::from_octets(socket.proxy_ip).same(address)
}

#[inline(always)]
fn connecting(event: &SockOps) {
    let Some((socket, ends)) = bound_for_proxy(event) else {
        return;
    };
    record(event, &socket, &ends);
    event.ask_for(BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
}

#[inline(always)]
fn record(event: &SockOps, socket: &Socket, ends: &Ends) {
    let cookie = event.cookie();
    let conn = Conn {
        cgroup_id: socket.cgroup_id,
        netns_cookie: socket.netns_cookie,
        connect_ns: now_ns(),
        client_ip: ends.local.octets(),
        client_port: ends.local_port,
        direct: socket.direct,
        pad: [0; 5],
    };
    if !maps::record(cookie, &conn) {
        count(|counters| &mut counters.failed_record);
    }
    trace!(
        event.context(),
        "recorded socket {} of cgroup {}", cookie, socket.cgroup_id
    );
}

#[inline(always)]
fn reserve(event: &SockOps) {
    if !event.reserve_option(syn_option::LEN) {
        count(|counters| &mut counters.failed_option_room);
    }
}

#[inline(always)]
fn store(event: &SockOps) {
    if !event.store_option(&syn_option::encode(event.cookie())) {
        count(|counters| &mut counters.failed_option_store);
    }
}

/// The SYN has been answered: no more options are to be written. The calls about states stay. If another program wants
/// to write options into connections to the proxy, it loses that here.
#[inline(always)]
fn established(event: &SockOps) {
    if bound_for_proxy(event).is_some() {
        event.no_more(BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
    }
}

#[inline(always)]
fn closed(event: &SockOps) {
    maps::forget(event.cookie());
}
