//! Raw sockets to the IPv6 address. They hear no IP header.

use std::{
    net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::OwnedFd,
};

use bpf2iam_support::{
    addresses::{METADATA_V6, NODE_V6},
    client::Report,
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SendFlags, ipproto},
};

use crate::{
    args::Args,
    trouble::{During as _, Trouble},
};

use super::{packet, raw};

/// RFC 4443.
const ECHO_REQUEST: u8 = 128;
/// RFC 4443.
const ECHO_REPLY: u8 = 129;

/// A SYN by `sendto`.
pub(super) fn sendto(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let (from, port) = (own_address().during("own address")?, raw::port());
    let addresses = [from.octets(), METADATA_V6.octets()].concat();
    let socket = raw::open(AddressFamily::INET6, ipproto::TCP)?;
    send(&socket, &packet::segment(port, &addresses), report)?;
    raw::hear(&socket, |segment| packet::answer(port, segment), report)
}

/// A ping.
pub(super) fn icmp(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = raw::open(AddressFamily::INET6, ipproto::ICMPV6)?;
    // The kernel puts the checksum there.
    send(&socket, &[ECHO_REQUEST, 0, 0, 0, 0x12, 0x34, 0, 1], report)?;
    let reply = |message: &[u8]| (message.first() == Some(&ECHO_REPLY)).then_some("echo-reply");
    raw::hear(&socket, reply, report)
}

fn send(socket: &OwnedFd, packet: &[u8], report: &mut Report) -> Result<(), Trouble> {
    let to = SocketAddrV6::new(METADATA_V6, 0, 0, 0);
    let sent = rustix::net::sendto(socket, packet, SendFlags::empty(), &to);
    report.sent = Some(sent.during("send")?);
    Ok(())
}

/// The address that the node sees. Connecting a datagram socket sends nothing.
fn own_address() -> std::io::Result<Ipv6Addr> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
    socket.connect((NODE_V6, 9))?;
    match socket.local_addr()? {
        SocketAddr::V6(address) => Ok(*address.ip()),
        SocketAddr::V4(_) => Err(Errno::AFNOSUPPORT.into()),
    }
}
