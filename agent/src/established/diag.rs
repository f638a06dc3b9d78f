//! Asks the kernel about the TCP sockets of a network namespace, and has it close some: `NETLINK_SOCK_DIAG`.
//!
//! The crates for it bring five more and do not know a socket's cgroup; one kind of question and two of answers are
//! less. All of it is bounded: who may do so in a namespace can send us messages without end.

mod message;

use std::{
    io,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recvfrom, send,
        socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use message::Reply;

pub(super) use message::{Family, Socket};

/// The kernel answers while it is asked, and walks through all of a namespace's sockets within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel puts as many replies into a datagram as there is room for, 32 KiB at most.
const ROOM: usize = 32 << 10;

/// Speaks to the kernel about the namespace that it was opened in.
#[derive(Debug)]
pub(super) struct Diag {
    socket: OwnedFd,
    room: Vec<u8>,
    deadline: Instant,
}

/// What came of closing a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It is closed.
    Now,
    /// It was gone.
    Before,
    /// It cannot be: the kernel closes none, or not one that only waits to be forgotten (before Linux 6.2).
    Never,
}

impl Diag {
    /// In the namespace of the calling thread. All questions together take no longer than [`PATIENCE`], and end before
    /// `end`.
    pub(super) fn open(end: Instant) -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        Ok(Self {
            socket,
            room: vec![0; ROOM],
            deadline: end.min(Instant::now() + PATIENCE),
        })
    }

    /// The sockets of a family that are `wanted`. Those that come or go meanwhile may be missed.
    pub(super) fn sockets(
        &mut self,
        family: Family,
        wanted: impl Fn(&Socket) -> bool,
    ) -> io::Result<Vec<Socket>> {
        let mut found = Vec::new();
        self.ask(&message::list(family), |socket| {
            if wanted(&socket) {
                found.push(socket);
            }
        })?;
        Ok(found)
    }

    /// Closes the socket: whoever has it gets `ECONNABORTED`.
    pub(super) fn destroy(&mut self, socket: &Socket) -> io::Result<Closed> {
        match self.ask(&message::destroy(socket), drop) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Closed::Before),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {
                Ok(Closed::Never)
            }
            ended => ended.map(|()| Closed::Now),
        }
    }

    fn ask(&mut self, question: &[u8], mut each: impl FnMut(Socket)) -> io::Result<()> {
        send(&self.socket, question, SendFlags::empty())?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            set_socket_timeout(&self.socket, Timeout::Recv, Some(left))?;
            let (_, length, from) = recvfrom(&self.socket, &mut *self.room, RecvFlags::TRUNC)?;
            // Who is root in the namespace may send us something as well.
            let from = from.and_then(|from| netlink::SocketAddrNetlink::try_from(from).ok());
            if from.is_none_or(|from| from.pid() != 0) {
                continue;
            }
            let datagram = self.room.get(..length).ok_or(io::ErrorKind::FileTooLarge)?;
            for reply in message::replies(datagram) {
                match reply {
                    Reply::Socket(socket) => each(socket),
                    Reply::End(ended) => return ended.map_err(io::Error::from_raw_os_error),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use bpf2iam_ebpf::address::Address;

    use super::*;

    fn diag() -> Diag {
        Diag::open(Instant::now() + Duration::from_mins(1)).unwrap()
    }

    /// A connection to this address, and its listener.
    fn connection(ip: &str) -> (TcpListener, TcpStream) {
        let listener = TcpListener::bind((ip, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener, stream)
    }

    #[test]
    fn the_kernel_lists_a_connection_by_its_remote_address_with_a_cgroup() {
        // Nobody else has this one.
        let (_listener, _stream) = connection("127.83.7.201");
        let remote = Address::v4(u32::from_ne_bytes([127, 83, 7, 201]));
        let mut diag = diag();
        let of_it = |socket: &Socket| socket.remote() == remote;
        let found = diag.sockets(Family::V4, of_it).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].cgroup.is_some());
        assert_eq!(diag.sockets(Family::V6, of_it).unwrap(), []);
    }

    #[test]
    fn more_sockets_than_fit_into_a_datagram_are_listed() {
        let listener = TcpListener::bind("127.83.7.202:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| {
            let stream = TcpStream::connect(address).unwrap();
            // The other end may go: it takes a descriptor.
            drop(listener.accept().unwrap());
            stream
        };
        let streams: Vec<_> = (0..350).map(connect).collect();
        let remote = Address::v4(u32::from_ne_bytes([127, 83, 7, 202]));
        let mut diag = diag();
        let of_them = |socket: &Socket| socket.remote() == remote;
        let found = diag.sockets(Family::V4, of_them).unwrap();
        // Others come and go, and a list is no snapshot.
        assert!(found.len() > streams.len() - 10, "{}", found.len());
    }

    #[test]
    fn nobody_is_heard_after_the_end() {
        let mut diag = Diag::open(Instant::now()).unwrap();
        let late = diag.sockets(Family::V4, |_| true).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }

    /// As one that has aged between the list and the order to close it.
    #[test]
    fn a_socket_that_is_gone_or_only_waits_to_be_forgotten_is_no_error() {
        let (listener, stream) = connection("127.83.7.203");
        let remote = Address::v4(u32::from_ne_bytes([127, 83, 7, 203]));
        let mut diag = diag();
        let of_it = |socket: &Socket| socket.remote() == remote;
        let found = diag.sockets(Family::V4, of_it).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        // Whoever closes first has to wait.
        drop(stream);
        drop(accepted);
        if let Err(error) = diag.destroy(&found[0]) {
            // Nobody but root may close any.
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
    }
}
