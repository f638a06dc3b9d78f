//! What seccomp(2) does for us: the kernel asks a listener before it makes certain calls.

#![expect(unsafe_code, reason = "nobody wraps seccomp's notifications")]

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::{MaybeUninit, zeroed},
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use libc::{c_int, c_long, c_ulong, seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog};
use rustix::{
    cmsg_space,
    event::{PollFd, PollFlags, poll},
    io::Errno,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

/// Operations of a filter (`linux/bpf_common.h`): load a word, compare, return.
const LOAD: u16 = 0x20;
const EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// A call that waits for our word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) thread: u32,
    pub(super) number: c_long,
    pub(super) arguments: [u64; 6],
}

/// Where a program will send its listener when it starts.
#[derive(Debug)]
pub(super) struct Door(UnixStream);

impl Door {
    /// `command` will ask before each call with one of these `numbers`.
    pub(super) fn put_before(command: &mut Command, numbers: &[c_long]) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair().context("a pair of sockets")?;
        let filter = filter(numbers)?;
        let ask = move || {
            let listener = install(&filter)?;
            send(&theirs, &listener)
        };
        // SAFETY: between fork and exec `ask` only makes system calls; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(ask) };
        Ok(Self(ours))
    }

    /// The listener of the program, which has started.
    pub(super) fn listener(self) -> Result<Listener> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        recvmsg(&self.0, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
            .context("the program has not sent its listener")?;
        let mut messages = control.drain();
        let Some(RecvAncillaryMessage::ScmRights(mut fds)) = messages.next() else {
            bail!("the program has sent no listener");
        };
        Ok(Listener(fds.next().context("no listener")?))
    }
}

/// Hears of each call.
#[derive(Debug)]
pub(super) struct Listener(OwnedFd);

impl Listener {
    /// The next call; none when nobody is left who could make one.
    pub(super) fn next(&self) -> io::Result<Option<Call>> {
        loop {
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            if !fds[0].revents().contains(PollFlags::IN) {
                return Ok(None);
            }
            match self.receive() {
                // Who made it is gone, or was interrupted and makes it again.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => {}
                received => return received.map(Some),
            }
        }
    }

    /// The call is made.
    pub(super) fn go_on(&self, id: u64) -> io::Result<()> {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        let flags = u32::try_from(flags).map_err(io::Error::other)?;
        self.answer(id, 0, flags)
    }

    /// The call is not made; the caller sees `errno`.
    pub(super) fn fail(&self, id: u64, errno: Errno) -> io::Result<()> {
        self.answer(id, -errno.raw_os_error(), 0)
    }

    fn answer(&self, id: u64, error: i32, flags: u32) -> io::Result<()> {
        let mut answer = seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags,
        };
        let (fd, what) = (self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND);
        // SAFETY: the kernel reads such a struct there.
        done(unsafe { libc::ioctl(fd, what, &raw mut answer) })
    }

    fn receive(&self) -> io::Result<Call> {
        // SAFETY: plain numbers; the kernel wants them to be zero.
        let mut told: seccomp_notif = unsafe { zeroed() };
        let (fd, what) = (self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV);
        // SAFETY: the kernel writes such a struct there.
        done(unsafe { libc::ioctl(fd, what, &raw mut told) })?;
        Ok(Call {
            id: told.id,
            thread: told.pid,
            number: told.data.nr.into(),
            arguments: told.data.args,
        })
    }
}

/// Asks for these calls; all others are made.
fn filter(numbers: &[c_long]) -> Result<Vec<sock_filter>> {
    let operation = |code, k, jt| sock_filter { code, jt, jf: 0, k };
    // The number comes first in what a filter looks at.
    let mut filter = vec![operation(LOAD, 0, 0)];
    for (at, number) in numbers.iter().enumerate() {
        let to_the_last = u8::try_from(numbers.len() - at)?;
        filter.push(operation(EQUAL, u32::try_from(*number)?, to_the_last));
    }
    filter.push(operation(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    filter.push(operation(RETURN, libc::SECCOMP_RET_USER_NOTIF, 0));
    Ok(filter)
}

/// Async-signal-safe.
fn install(filter: &[sock_filter]) -> io::Result<OwnedFd> {
    let program = sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    let (mode, flags): (_, c_ulong) = (
        libc::SECCOMP_SET_MODE_FILTER,
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
    );
    // SAFETY: the filter lives until the call returns, and has as many operations as the struct says.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    let fd = c_int::try_from(fd).unwrap_or(-1);
    done(fd)?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Async-signal-safe.
fn send(door: &UnixStream, listener: &OwnedFd) -> io::Result<()> {
    let fds = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    sendmsg(
        door,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

fn done(result: c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
