//! Datagrams. The metadata service does not take any; the kernel lets none through all the same.

use std::{
    borrow::Cow,
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use bpf2iam_support::{
    addresses::{METADATA_V4, METADATA_V6, NODE_V4},
    client::Report,
};

use crate::{
    args::Args,
    exchange,
    trouble::{During as _, Trouble},
};

/// How long to wait for an answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// What is sent.
const QUESTION: &[u8] = b"who am I";
/// A port that nobody listens on.
const DISCARD: u16 = 9;

/// `connect` and `send`.
pub(super) fn connect(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).during("socket")?;
    connect_and_send(&socket, args.to()?, report)
}

/// `connect` to the IPv4 address from an IPv6 socket, and `send`.
pub(super) fn connect_mapped(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).during("socket")?;
    connect_and_send(&socket, args.to_or(METADATA_V4.to_ipv6_mapped())?, report)
}

/// `connect` to the IPv6 address, and `send`.
pub(super) fn connect_ipv6(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).during("socket")?;
    connect_and_send(&socket, args.to_or(METADATA_V6)?, report)
}

/// `sendto`.
pub(super) fn sendto(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).during("socket")?;
    send(&socket, args.to()?, report)
}

/// `sendto` the IPv4 address from an IPv6 socket.
pub(super) fn sendto_mapped(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).during("socket")?;
    send(&socket, args.to_or(METADATA_V4.to_ipv6_mapped())?, report)
}

/// `sendto` the IPv6 address.
pub(super) fn sendto_ipv6(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).during("socket")?;
    send(&socket, args.to_or(METADATA_V6)?, report)
}

/// `sendto` on a socket that is connected to somebody else.
pub(super) fn sendto_connected(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).during("socket")?;
    socket.connect((NODE_V4, DISCARD)).during("connect")?;
    report.sent = Some(socket.send_to(QUESTION, args.to()?).during("send")?);
    // Nothing is heard on it: it takes datagrams of its peer only.
    Ok(())
}

fn connect_and_send(
    socket: &UdpSocket,
    to: SocketAddr,
    report: &mut Report,
) -> Result<(), Trouble> {
    socket.connect(to).during("connect")?;
    exchange::note_ends(socket, report)?;
    report.sent = Some(socket.send(QUESTION).during("send")?);
    hear(socket, report)
}

fn send(socket: &UdpSocket, to: SocketAddr, report: &mut Report) -> Result<(), Trouble> {
    report.sent = Some(socket.send_to(QUESTION, to).during("send")?);
    hear(socket, report)
}

/// Silence is no error.
fn hear(socket: &UdpSocket, report: &mut Report) -> Result<(), Trouble> {
    socket.set_read_timeout(Some(PATIENCE)).during("socket")?;
    let mut buffer = [0; 512];
    match socket.recv(&mut buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        result => {
            let length = result.during("receive")?;
            let text = buffer.get(..length).map(String::from_utf8_lossy);
            report.reply = text.map(Cow::into_owned);
            Ok(())
        }
    }
}
