//! Raw sockets. They do not call `connect` as TCP does, and send what they like.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::OwnedFd,
    process,
    time::{Duration, Instant},
};

use bpf2iam_support::{
    addresses::{METADATA_V4, NODE_V4},
    client::Report,
};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto,
        socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::{
    args::Args,
    trouble::{During as _, Trouble},
};

use super::packet::{self, Syn};

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// A SYN by `sendto`.
pub(super) fn sendto(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let syn = syn()?;
    let socket = raw(ipproto::TCP)?;
    send(&socket, &syn.segment(), METADATA_V4, report)?;
    hear(&socket, |packet| syn.answer(packet), report)
}

/// A SYN by `connect` and `send`.
pub(super) fn connect(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let syn = syn()?;
    let socket = raw(ipproto::TCP)?;
    rustix::net::connect(&socket, &SocketAddrV4::new(METADATA_V4, 0)).during("connect")?;
    let sent = rustix::net::send(&socket, &syn.segment(), SendFlags::empty());
    report.sent = Some(sent.during("send")?);
    hear(&socket, |packet| syn.answer(packet), report)
}

/// A SYN with an IP header of its own.
pub(super) fn header(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    with_header(METADATA_V4, report)
}

/// A SYN with an IP header that says something else than `sendto` does.
pub(super) fn header_other(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    with_header(NODE_V4, report)
}

/// A ping.
pub(super) fn icmp(_args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = raw(ipproto::ICMP)?;
    send(&socket, &packet::echo_request(), METADATA_V4, report)?;
    let reply = |packet: &[u8]| packet::is_echo_reply(packet, METADATA_V4).then_some("echo-reply");
    hear(&socket, reply, report)
}

fn with_header(addressee: Ipv4Addr, report: &mut Report) -> Result<(), Trouble> {
    let syn = syn()?;
    let ear = raw(ipproto::TCP)?;
    let socket = raw(ipproto::RAW)?;
    send(&socket, &syn.datagram(), addressee, report)?;
    hear(&ear, |packet| syn.answer(packet), report)
}

/// A SYN of this pod, from a port that only this process uses.
pub(super) fn syn() -> Result<Syn, Trouble> {
    Ok(Syn {
        from: own_address().during("own address")?,
        port: port(),
        to: METADATA_V4,
    })
}

/// A port that only this process uses.
pub(super) fn port() -> u16 {
    20_000 + u16::try_from(process::id() % 10_000).unwrap_or_default()
}

/// A socket for one protocol. It hears all packets of that protocol that come to the pod.
pub(super) fn raw(protocol: Protocol) -> Result<OwnedFd, Trouble> {
    open(AddressFamily::INET, protocol)
}

/// A socket for one protocol above either version of IP.
pub(super) fn open(family: AddressFamily, protocol: Protocol) -> Result<OwnedFd, Trouble> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::RAW, flags, Some(protocol)).during("socket")?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).during("socket")?;
    Ok(socket)
}

/// Notes the first packet that `answer` knows. Silence is no error.
pub(super) fn hear(
    socket: &OwnedFd,
    answer: impl Fn(&[u8]) -> Option<&'static str>,
    report: &mut Report,
) -> Result<(), Trouble> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = [0; 2048];
    while Instant::now() < deadline && report.reply.is_none() {
        match rustix::net::recv(socket, &mut buffer, RecvFlags::empty()) {
            Err(Errno::AGAIN) => break,
            received => {
                let (length, _) = received.during("receive")?;
                let packet = buffer.get(..length).unwrap_or_default();
                report.reply = answer(packet).map(str::to_owned);
            }
        }
    }
    Ok(())
}

fn send(socket: &OwnedFd, packet: &[u8], to: Ipv4Addr, report: &mut Report) -> Result<(), Trouble> {
    let sent = rustix::net::sendto(
        socket,
        packet,
        SendFlags::empty(),
        &SocketAddrV4::new(to, 0),
    );
    report.sent = Some(sent.during("send")?);
    Ok(())
}

/// The address that the node sees. Connecting a datagram socket sends nothing.
pub(super) fn own_address() -> std::io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((NODE_V4, 9))?;
    match socket.local_addr()? {
        SocketAddr::V4(address) => Ok(*address.ip()),
        SocketAddr::V6(_) => Err(Errno::AFNOSUPPORT.into()),
    }
}
