//! A socket that one process makes and another one connects. It belongs to the cgroup of its maker.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use bpf2iam_support::client::Report;
use rustix::{
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

use crate::{
    args::Args,
    exchange, socket,
    trouble::{During as _, Trouble},
};

/// How long the other process may take to start.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes a socket and gives it to whoever listens at `--socket`.
pub(super) fn send(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let to = args.to()?;
    let made = socket::stream(socket::family(&to), None).during("socket")?;
    let other = meet(&args.required::<PathBuf>("--socket")?).during("meet")?;
    let fds = [made.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let sent = sendmsg(
        &other,
        &[IoSlice::new(b"s")],
        &mut control,
        SendFlags::empty(),
    );
    report.sent = Some(sent.during("send")?);
    Ok(())
}

/// Listens at `--socket`, takes a socket and connects it.
pub(super) fn receive(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let path: PathBuf = args.required("--socket")?;
    let listener = UnixListener::bind(path).during("bind")?;
    let (other, _) = listener.accept().during("accept")?;
    let taken = take(&other).during("take")?;
    socket::connect(&taken, &args.to()?).during("connect")?;
    exchange::ask(taken, args, report)
}

fn meet(path: &PathBuf) -> std::io::Result<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match UnixStream::connect(path) {
            Err(_not_yet) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            result => return result,
        }
    }
}

fn take(other: &UnixStream) -> Result<OwnedFd, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    recvmsg(
        other,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;
    let mut fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        RecvAncillaryMessage::ScmCredentials(_) | _ => None,
    });
    fds.next().and_then(|mut fds| fds.next()).ok_or(Errno::BADF)
}
