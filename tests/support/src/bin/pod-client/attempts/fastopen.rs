//! Connections that are opened by sending.

#![expect(unsafe_code, reason = "nobody wraps TCP_FASTOPEN_CONNECT")]

use std::os::fd::{AsRawFd as _, OwnedFd};

use bpf2iam_support::client::Report;
use rustix::{
    io::Errno,
    net::{Protocol, SendFlags},
};

use crate::{
    args::Args,
    exchange,
    http::Request,
    socket,
    trouble::{During as _, Trouble},
};

use super::tcp::{self, MPTCP};

/// `MSG_FASTOPEN`, without a `connect`.
pub(super) fn sendto(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    open_by_sending(None, args, report)
}

/// `MSG_FASTOPEN` by MPTCP.
pub(super) fn mptcp(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    open_by_sending(Some(MPTCP), args, report)
}

/// `TCP_FASTOPEN_CONNECT`: `connect` may return without having done anything.
pub(super) fn connect(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    let socket = tcp::open(None, &to, "TCP")?;
    defer_connect(&socket).during("setsockopt")?;
    socket::connect(&socket, &to).during("connect")?;
    exchange::ask(socket, args, report)
}

fn open_by_sending(
    protocol: Option<Protocol>,
    args: &Args,
    report: &mut Report,
) -> Result<(), Trouble> {
    let to = args.to()?;
    let socket = tcp::open(protocol, &to, "MPTCP")?;
    let flags = SendFlags::from_bits_retain(libc::MSG_FASTOPEN.cast_unsigned());
    let request = Request::get(args.path()).bytes();
    match rustix::net::sendto(&socket, &request, flags | SendFlags::NOSIGNAL, &to) {
        Err(Errno::OPNOTSUPP) => return Err(Trouble::Unsupported("MSG_FASTOPEN here")),
        result => report.sent = Some(result.during("send")?),
    }
    exchange::note_ends(&socket, report)?;
    exchange::hear(std::fs::File::from(socket), report)
}

fn defer_connect(socket: &OwnedFd) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(|_too_long| Errno::INVAL)?;
    // SAFETY: the value is an integer on the stack, and `length` is its size.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            length,
        )
    };
    match failed {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
    }
}
