//! Stream sockets that call `connect`.

use std::{io, net::SocketAddr, num::NonZero, os::fd::OwnedFd};

use bpf2iam_support::{
    addresses::{METADATA_V4, METADATA_V6},
    client::Report,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionbio},
    net::{Protocol, Shutdown, connect_unspec, shutdown, sockopt::socket_error},
};

use crate::{
    args::Args,
    exchange,
    http::Request,
    socket,
    trouble::{During as _, Trouble},
};

/// `IPPROTO_MPTCP` of `linux/in.h`.
pub(super) const MPTCP: Protocol = Protocol::from_raw(NonZero::new(262).expect("it is not zero"));
/// `IPPROTO_SCTP` of `linux/in.h`.
const SCTP: Protocol = Protocol::from_raw(NonZero::new(132).expect("it is not zero"));

/// As everybody connects.
pub(super) fn connect(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask(args.to()?, args, report)
}

/// To the IPv4 address from an IPv6 socket, as Java does.
pub(super) fn mapped(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask(args.to_or(METADATA_V4.to_ipv6_mapped())?, args, report)
}

/// To the IPv6 address.
pub(super) fn ipv6(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask(args.to_or(METADATA_V6)?, args, report)
}

/// To a port where no metadata service is.
pub(super) fn port_81(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask((METADATA_V4, 81).into(), args, report)
}

/// To that port of the IPv4 address from an IPv6 socket.
pub(super) fn port_81_mapped(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask((METADATA_V4.to_ipv6_mapped(), 81).into(), args, report)
}

/// To that port of the IPv6 address.
pub(super) fn port_81_ipv6(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask((METADATA_V6, 81).into(), args, report)
}

/// To another one.
pub(super) fn port_443(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask((METADATA_V4, 443).into(), args, report)
}

/// To an address that must be given: the proxy's own.
pub(super) fn direct(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    ask(args.required("--to")?, args, report)
}

/// By MPTCP.
pub(super) fn mptcp(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    connect_by(Some(MPTCP), to, "MPTCP").and_then(|socket| exchange::ask(socket, args, report))
}

/// By MPTCP to the IPv4 address from an IPv6 socket.
pub(super) fn mptcp_mapped(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to_or(METADATA_V4.to_ipv6_mapped())?;
    connect_by(Some(MPTCP), to, "MPTCP").and_then(|socket| exchange::ask(socket, args, report))
}

/// By SCTP.
pub(super) fn sctp(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = connect_by(Some(SCTP), args.to()?, "SCTP")?;
    exchange::ask(socket, args, report)
}

/// With a `connect` that returns before there is a connection.
pub(super) fn nonblocking(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    let socket = socket::stream(socket::family(&to), None).during("socket")?;
    ioctl_fionbio(&socket, true).during("socket")?;
    match rustix::net::connect(&socket, &to) {
        Err(Errno::INPROGRESS) => {}
        result => result.during("connect")?,
    }
    let patience = Timespec::try_from(socket::PATIENCE).map_err(io::Error::other);
    let mut fds = [PollFd::new(&socket, PollFlags::OUT)];
    poll(&mut fds, Some(&patience.during("poll")?)).during("poll")?;
    socket_error(&socket)
        .during("getsockopt")?
        .during("connect")?;
    ioctl_fionbio(&socket, false).during("socket")?;
    exchange::ask(socket, args, report)
}

/// With a client that says at once that it will send no more.
pub(super) fn half_close(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let socket = connect_by(None, args.to()?, "TCP")?;
    exchange::note_ends(&socket, report)?;
    rustix::io::write(&socket, &Request::get(args.path()).bytes()).during("send")?;
    shutdown(&socket, Shutdown::Write).during("shutdown")?;
    exchange::hear(std::fs::File::from(socket), report)
}

/// With a connection that is there before somebody interferes: says `opened` on standard error, asks when a line comes
/// on standard input, and hears what the connection has to say before that.
pub(super) fn opened_before(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    keep(connect_by(None, args.to()?, "TCP")?, args, report)
}

/// With such a connection by MPTCP.
pub(super) fn opened_before_mptcp(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    keep(connect_by(Some(MPTCP), args.to()?, "MPTCP")?, args, report)
}

fn keep(socket: OwnedFd, args: &Args, report: &mut Report) -> Result<(), Trouble> {
    exchange::note_ends(&socket, report)?;
    crate::say("opened").during("report")?;
    let stdin = io::stdin();
    let mut fds = [
        PollFd::new(&stdin, PollFlags::IN),
        PollFd::new(&socket, PollFlags::IN),
    ];
    poll(&mut fds, None).during("wait")?;
    if !fds[1].revents().is_empty() {
        return exchange::hear(std::fs::File::from(socket), report);
    }
    stdin.read_line(&mut String::new()).during("wait")?;
    exchange::ask(socket, args, report)
}

/// With a socket that is connected to the metadata service first, and then to somebody else (`--other`).
pub(super) fn unspec(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let other: SocketAddr = args.required("--other")?;
    let socket = connect_by(None, args.to()?, "TCP")?;
    report.earlier_peer = exchange::peer(&socket).during("getpeername")?;
    connect_unspec(&socket).during("disconnect")?;
    socket::connect(&socket, &other).during("connect again")?;
    exchange::ask(socket, args, report)
}

/// With a socket whose connect to the metadata service is refused, and that then goes to somebody else (`--other`).
pub(super) fn refused_first(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let (to, other) = (args.to()?, args.required("--other")?);
    let socket = open(None, &to, "TCP")?;
    match socket::connect(&socket, &to) {
        Err(Errno::CONNREFUSED) => {}
        Err(error) => return Err(error).during("connect"),
        Ok(()) => return Err(Errno::ISCONN).during("be refused"),
    }
    socket::connect(&socket, &other).during("connect again")?;
    exchange::ask(socket, args, report)
}

fn ask(to: SocketAddr, args: &Args, report: &mut Report) -> Result<(), Trouble> {
    exchange::ask(connect_by(None, to, "TCP")?, args, report)
}

fn connect_by(
    protocol: Option<Protocol>,
    to: SocketAddr,
    name: &'static str,
) -> Result<OwnedFd, Trouble> {
    let socket = open(protocol, &to, name)?;
    socket::connect(&socket, &to).during("connect")?;
    Ok(socket)
}

/// A stream socket of a protocol that the kernel may not have.
pub(super) fn open(
    protocol: Option<Protocol>,
    to: &SocketAddr,
    name: &'static str,
) -> Result<OwnedFd, Trouble> {
    match socket::stream(socket::family(to), protocol) {
        Err(Errno::PROTONOSUPPORT | Errno::NOPROTOOPT | Errno::SOCKTNOSUPPORT) => {
            Err(Trouble::Unsupported(name))
        }
        result => result.during("socket"),
    }
}
