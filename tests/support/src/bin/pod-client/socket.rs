//! Sockets that give up by themselves.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use rustix::{
    io::{Errno, Result},
    net::{
        AddressFamily, Protocol, SocketFlags, SocketType, socket_with,
        sockopt::{Timeout, set_socket_linger, set_socket_timeout},
    },
};

/// How long to wait for the other side.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// The family of an address. An IPv4 address in its IPv6 form belongs to IPv6.
pub(crate) const fn family(address: &SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

/// A stream socket: TCP, if no other protocol is named.
pub(crate) fn stream(family: AddressFamily, protocol: Option<Protocol>) -> Result<OwnedFd> {
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, protocol)?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    Ok(socket)
}

/// A TCP socket that leaves nothing behind when it is closed, so that ports and time are not used up.
pub(crate) fn short_lived(to: &SocketAddr) -> Result<OwnedFd> {
    let socket = stream(family(to), None)?;
    set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(socket)
}

/// Connects. A time-out of the socket's own is ETIMEDOUT, as one of the kernel's is.
pub(crate) fn connect(socket: impl AsFd, to: &SocketAddr) -> Result<()> {
    match rustix::net::connect(socket, to) {
        Err(Errno::INPROGRESS) => Err(Errno::TIMEDOUT),
        result => result,
    }
}
