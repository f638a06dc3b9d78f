//! The messages of `NETLINK_SOCK_DIAG`, as in `sock_diag(7)`. Pure.
//!
//! All numbers are in the machine's own byte order, addresses and ports in the network's.

use bpf2iam_ebpf::address::Address;

use crate::id::CgroupId;

/// `SOCK_DIAG_BY_FAMILY` and `SOCK_DESTROY` of `include/uapi/linux/sock_diag.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
/// `NLMSG_ERROR` and `NLMSG_DONE` of `include/uapi/linux/netlink.h`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`, with `NLM_F_DUMP` or with `NLM_F_ACK`.
const DUMP: u16 = 0x301;
const ACKNOWLEDGED: u16 = 0x5;

/// `struct nlmsghdr`: length, type, flags, number, sender.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`: family, protocol, two bytes more, states, the socket's id.
const REQUEST: usize = 8 + ID;
/// `struct inet_diag_sockid`: ports, addresses, device, cookie.
const ID: usize = 48;
/// Where the remote address is in it.
const REMOTE: usize = 20;
/// `struct inet_diag_msg`: family, state, two bytes more, the socket's id, five numbers.
const ANSWER: usize = 4 + ID + 20;

/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The states of `include/net/tcp_states.h` in which a socket has a peer and may have an owner: all but `TIME_WAIT`,
/// `CLOSE`, `LISTEN` and the two that only the kernel's own sockets have.
const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// `INET_DIAG_CGROUP_ID` of `include/uapi/linux/inet_diag.h`; Linux 5.8 and newer send it unasked.
const CGROUP_ID: u16 = 21;
/// `NLA_TYPE_MASK`.
const ATTRIBUTE: u16 = 0x3fff;

/// `AF_INET` or `AF_INET6`. IPv4 from an IPv6 socket is IPv6 here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::established) enum Family {
    V4 = 2,
    V6 = 10,
}

/// A TCP socket that has a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::established) struct Socket {
    family: Family,
    /// The kernel is given it back as it came.
    id: [u8; ID],
    /// The cgroup that it was made in; a kernel without such has none.
    pub(in crate::established) cgroup: Option<CgroupId>,
}

impl Socket {
    /// Its peer's address.
    pub(in crate::established) fn remote(&self) -> Address {
        let [a, b, c, d, ..] = self.remote_bytes();
        match self.family {
            Family::V4 => Address::v4(u32::from_ne_bytes([a, b, c, d])),
            Family::V6 => Address::from_octets(self.remote_bytes()),
        }
    }

    fn remote_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.id[REMOTE..REMOTE + 16]);
        bytes
    }
}

/// Asks for all sockets of a family.
pub(super) fn list(family: Family) -> Vec<u8> {
    request(SOCK_DIAG_BY_FAMILY, DUMP, family, &[0; ID])
}

/// Asks that this very socket be closed.
pub(super) fn destroy(socket: &Socket) -> Vec<u8> {
    request(SOCK_DESTROY, ACKNOWLEDGED, socket.family, &socket.id)
}

fn request(kind: u16, flags: u16, family: Family, id: &[u8; ID]) -> Vec<u8> {
    const LENGTH: u32 = 72;
    const { assert!(LENGTH as usize == HEADER + REQUEST) };
    let mut message = Vec::with_capacity(HEADER + REQUEST);
    message.extend(LENGTH.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]); // one question at a time needs no number
    message.extend([family as u8, TCP, 0, 0]);
    message.extend(STATES.to_ne_bytes());
    message.extend(id);
    message
}

/// What the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// One of the sockets.
    Socket(Socket),
    /// That was all; or an errno.
    End(Result<(), i32>),
}

/// The replies in a datagram, as far as they are understood.
pub(super) fn replies(datagram: &[u8]) -> impl Iterator<Item = Reply> {
    let mut rest = datagram;
    let messages = std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(number(rest, 0)?)).ok()?;
        let message = rest.get(..length).filter(|_| length >= HEADER)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    });
    messages.filter_map(reply)
}

fn reply(message: &[u8]) -> Option<Reply> {
    let payload = message.get(HEADER..)?;
    match u16::from_ne_bytes(number(message, 4)?) {
        SOCK_DIAG_BY_FAMILY => socket(payload).map(Reply::Socket),
        NLMSG_ERROR | NLMSG_DONE => {
            // The end of a list may come without a number; then all is well.
            let negative = i32::from_ne_bytes(number(payload, 0).unwrap_or_default());
            let ended = if negative < 0 {
                Err(negative.saturating_neg())
            } else {
                Ok(())
            };
            Some(Reply::End(ended))
        }
        _ => None,
    }
}

fn socket(payload: &[u8]) -> Option<Socket> {
    let family = match payload.first()? {
        2 => Family::V4,
        10 => Family::V6,
        _ => return None,
    };
    let id = number(payload, 4)?;
    let cgroup = attribute(payload.get(ANSWER..)?, CGROUP_ID);
    let cgroup = cgroup.and_then(|value| Some(u64::from_ne_bytes(number(value, 0)?)));
    Some(Socket {
        family,
        id,
        cgroup: cgroup.map(CgroupId::new),
    })
}

/// The attribute of this kind (`struct nlattr`: length, kind, value).
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16::from_ne_bytes(number(rest, 0)?));
        let kind = u16::from_ne_bytes(number(rest, 2)?) & ATTRIBUTE;
        let value = rest.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

/// So many bytes from there.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests;
