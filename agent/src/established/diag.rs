//! Asks the kernel about the TCP sockets of a network namespace, and has it close some: `NETLINK_SOCK_DIAG`.
//!
//! The crates for it bring five more and do not know a socket's cgroup; one kind of question and two of answers are
//! less. Each wait is bounded.

mod message;

use std::{io, os::fd::OwnedFd, time::Duration};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recvfrom, send,
    socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

use message::Reply;

pub(super) use message::{Family, Socket};

/// The kernel answers while it is asked; longer than this is no answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The kernel puts as many replies into a datagram as there is room for, 32 KiB at most.
const ROOM: usize = 32 << 10;

/// Speaks to the kernel about the namespace that it was opened in.
#[derive(Debug)]
pub(super) struct Diag {
    socket: OwnedFd,
    room: Vec<u8>,
}

impl Diag {
    /// In the namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self {
            socket,
            room: vec![0; ROOM],
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

    /// Closes the socket: whoever has it gets `ECONNABORTED`. Says whether it was still there.
    pub(super) fn destroy(&mut self, socket: &Socket) -> io::Result<bool> {
        match self.ask(&message::destroy(socket), drop) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            ended => ended.map(|()| true),
        }
    }

    fn ask(&mut self, question: &[u8], mut each: impl FnMut(Socket)) -> io::Result<()> {
        send(&self.socket, question, SendFlags::empty())?;
        loop {
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
        let mut diag = Diag::open().unwrap();
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
        let mut diag = Diag::open().unwrap();
        let of_them = |socket: &Socket| socket.remote() == remote;
        let found = diag.sockets(Family::V4, of_them).unwrap();
        // Others come and go, and a list is no snapshot.
        assert!(found.len() > streams.len() - 10, "{}", found.len());
    }
}
