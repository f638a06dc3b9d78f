//! `getpeername()`: a client that was redirected sees the address that it asked for.

use bpf2iam_ebpf::{
    address::Address,
    decide::{self, METADATA_PORT},
};

use crate::{context::SockAddr, maps};

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
    let config = maps::config()?;
    // connect(AF_UNSPEC) frees a socket for another server, and leaves its storage.
    let ours = socket.direct == 0 && decide::is_proxy(address, port, &config);
    ours.then_some(Address::from_octets(socket.dst_ip))
}
