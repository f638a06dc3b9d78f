//! The sockets on which redirected connections arrive: one for each address of the node, all with one port.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use rustix::net::sockopt::set_tcp_cork;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::TcpListener;

use crate::{attest, config::NodeIps};

/// How many connections may wait to be accepted. The kernel takes the less of this and `net.core.somaxconn`; beyond
/// it, it sends SYN cookies, and attestation is dearer.
const BACKLOG: i32 = 4096;

/// How often a free port is looked for that is free on both addresses.
const ATTEMPTS: usize = 16;

/// A listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("{0} is in use by another process; give another --listen-port, or 0 for any free one")]
    InUse(SocketAddr),
    /// The address is not this node's.
    #[error("{0} is no address of this machine; give one of its addresses as --node-ip")]
    NotOurs(IpAddr),
    /// Something else.
    #[error("cannot listen on {address} (--node-ip, --listen-port)")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Listens on all `ips` with one `port`; 0 is any that is free on all of them.
pub(super) fn listen(ips: NodeIps, port: u16) -> Result<Vec<TcpListener>, Error> {
    let mut attempts = if port == 0 { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match listen_once(ips, port) {
            Err(Error::InUse(_)) if attempts > 0 => {}
            result => return result,
        }
    }
}

fn listen_once(ips: NodeIps, mut port: u16) -> Result<Vec<TcpListener>, Error> {
    let mut listeners = Vec::new();
    for ip in ips.iter() {
        let address = SocketAddr::new(ip, port);
        let listener = listen_at(address).map_err(|error| explained(error, address))?;
        port = listener
            .local_addr()
            .map_err(|error| explained(error, address))?
            .port();
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A port whose last connections are in TIME_WAIT is free.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    attest::save_syns(&socket)?;
    // Connections inherit it. Each is for one answer and ends with it, and so both go out in one segment. (What is not
    // followed by the end goes out after 200 ms: tcp(7).)
    set_tcp_cork(&socket, true)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn explained(source: io::Error, address: SocketAddr) -> Error {
    let kind = source.kind();
    if kind == ErrorKind::AddrInUse {
        Error::InUse(address)
    } else if kind == ErrorKind::AddrNotAvailable {
        Error::NotOurs(address.ip())
    } else {
        Error::Other { address, source }
    }
}
