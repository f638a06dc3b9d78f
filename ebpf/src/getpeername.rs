//! `getpeername()`: a client that was redirected sees the address that it asked for.

use bpf2iam_ebpf::{address::Address, decide::METADATA_PORT};

use crate::{context::SockAddr, maps, record::leads_to_proxy};

#[inline(always)]
pub(crate) fn on_getpeername(call: &SockAddr) {
    if let Some(asked_for) = asked_for(call) {
        call.set(asked_for, METADATA_PORT);
    }
}

/// What the client asked for, if its socket is connected to the proxy because of that.
#[inline(always)]
fn asked_for(call: &SockAddr) -> Option<Address> {
    let (address, port) = (call.address(), call.port());
    let socket = maps::socket(call.sk()?)?;
    let ours = socket.direct == 0 && leads_to_proxy(&socket, address, port);
    ours.then_some(Address::from_octets(socket.dst_ip))
}
