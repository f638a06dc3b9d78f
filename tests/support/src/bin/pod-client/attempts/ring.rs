//! `connect` by `io_uring`: by the caller itself, by the kernel thread that polls the ring, by a worker.

#![expect(unsafe_code, reason = "the kernel reads what a submission points to")]

use std::{net::SocketAddr, os::fd::AsRawFd as _};

use bpf2iam_support::client::Report;
use io_uring::{
    IoUring, opcode, squeue,
    types::{Fd, SubmitArgs, Timespec},
};
use rustix::{io::Errno, net::addr::SocketAddrArg as _};

use crate::{
    args::Args,
    exchange, socket,
    trouble::{During as _, Trouble},
};

/// How long the polling thread stays awake, in milliseconds.
const IDLE: u32 = 1000;

/// The submission itself connects.
pub(super) fn inline(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let ring = IoUring::new(4);
    connect(ring, squeue::Flags::empty(), args, report)
}

/// A kernel thread takes the submission from the ring.
pub(super) fn sqpoll(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let ring = IoUring::builder().setup_sqpoll(IDLE).build(4);
    connect(ring, squeue::Flags::empty(), args, report)
}

/// A worker thread of the kernel's connects.
pub(super) fn worker(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let ring = IoUring::new(4);
    connect(ring, squeue::Flags::ASYNC, args, report)
}

fn connect(
    ring: std::io::Result<IoUring>,
    flags: squeue::Flags,
    args: &Args,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut ring = match ring {
        Err(error) if is_forbidden(&error) => return Err(Trouble::Unsupported("io_uring")),
        ring => ring.during("io_uring_setup")?,
    };
    let to = args.to()?;
    let socket = socket::stream(socket::family(&to), None).during("socket")?;
    submit(&mut ring, Fd(socket.as_raw_fd()), &to, flags)?;
    exchange::ask(socket, args, report)
}

fn submit(
    ring: &mut IoUring,
    socket: Fd,
    to: &SocketAddr,
    flags: squeue::Flags,
) -> Result<(), Trouble> {
    let to = to.as_any();
    let entry = opcode::Connect::new(socket, to.as_ptr().cast(), to.addr_len())
        .build()
        .flags(flags);
    // SAFETY: the socket and the address live until the completion is taken below, or until the
    // process ends, which it does right after an error.
    unsafe { ring.submission().push(&entry) }
        .map_err(std::io::Error::other)
        .during("submit")?;
    let patience = Timespec::from(socket::PATIENCE);
    let limits = SubmitArgs::new().timespec(&patience);
    ring.submitter()
        .submit_with_args(1, &limits)
        .during("io_uring_enter")?;
    let completion = ring.completion().next();
    match completion.map(|completion| completion.result()) {
        Some(0..) => Ok(()),
        Some(error) => Err(Errno::from_raw_os_error(-error)).during("connect"),
        None => Err(Errno::TIMEDOUT).during("connect"),
    }
}

/// By a seccomp filter, by `kernel.io_uring_disabled`, or it was left out of the kernel.
fn is_forbidden(error: &std::io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::ACCESS | Errno::NOSYS)
    )
}
