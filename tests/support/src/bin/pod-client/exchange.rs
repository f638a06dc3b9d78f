//! One question and its answer over a connection.

use std::{
    io::{self, ErrorKind, Read, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, OwnedFd},
};

use bpf2iam_support::client::Report;
use rustix::net::{getpeername, getsockname};

use crate::{
    args::Args,
    http::{Request, Response},
    trouble::{During as _, Trouble},
};

/// More is not read.
const LIMIT: u64 = 1 << 20;

/// Asks what the command line says over a socket that is connected.
pub(crate) fn ask(socket: OwnedFd, args: &Args, report: &mut Report) -> Result<(), Trouble> {
    put(socket, &Request::get(args.path()), report)
}

/// Sends `request` over a socket that is connected.
pub(crate) fn put(socket: OwnedFd, request: &Request, report: &mut Report) -> Result<(), Trouble> {
    note_ends(&socket, report)?;
    let mut stream = TcpStream::from(socket);
    stream.write_all(&request.bytes()).during("send")?;
    hear(stream, report)
}

/// Notes who talks to whom.
pub(crate) fn note_ends(socket: impl AsFd, report: &mut Report) -> Result<(), Trouble> {
    report.peer = peer(&socket).during("getpeername")?;
    report.connected = report.peer.is_some();
    let local = getsockname(socket).during("getsockname")?;
    report.local = SocketAddr::try_from(local).ok();
    Ok(())
}

/// Whom `getpeername` names.
pub(crate) fn peer(socket: impl AsFd) -> rustix::io::Result<Option<SocketAddr>> {
    let peer = getpeername(socket)?;
    Ok(peer.and_then(|peer| SocketAddr::try_from(peer).ok()))
}

/// Reads the answer.
pub(crate) fn hear(stream: impl Read, report: &mut Report) -> Result<(), Trouble> {
    let bytes = read_all(stream).during("receive")?;
    let response = Response::parse(&bytes);
    report.status = response.status;
    report.headers = response.headers;
    report.body = Some(response.body);
    Ok(())
}

/// Whatever comes until the end of the connection. An error counts only when nothing has come; silence is
/// ETIMEDOUT.
pub(crate) fn read_all(stream: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match stream.take(LIMIT).read_to_end(&mut bytes) {
        Err(error) if bytes.is_empty() && error.kind() == ErrorKind::WouldBlock => {
            Err(io::Error::from_raw_os_error(libc::ETIMEDOUT))
        }
        Err(error) if bytes.is_empty() => Err(error),
        _ if bytes.is_empty() => Err(io::Error::new(ErrorKind::UnexpectedEof, "closed")),
        _ => Ok(bytes),
    }
}
