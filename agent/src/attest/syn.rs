//! The SYN that opened a connection, and the cookie that the client's kernel side wrote into it.
//!
//! A listener with `TCP_SAVE_SYN` keeps it, from the IP header on (Linux 4.2). When the kernel answered with a SYN
//! cookie there is none.

use std::{io, net::SocketAddr, os::fd::AsFd};

use bpf2iam_ebpf::abi::syn_option;

use crate::id::SocketCookie;

/// What a connection began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syn {
    /// It was not kept: the listener's queue was full, and the kernel sent a SYN cookie.
    Lost,
    /// It carries no cookie: the client is not one of ours.
    Bare,
    /// It carries this cookie. Anybody may write any: it proves nothing by itself.
    Cookie(SocketCookie),
}

/// Room for the longest IPv4 header or the usual IPv6 one, and the longest TCP header.
const MAX_SYN: usize = 256;

/// Makes `listener` keep the SYNs of the connections it accepts.
pub fn save_syns(listener: &impl AsFd) -> io::Result<()> {
    sys::save_syns(listener.as_fd())
}

/// The SYN of `connection`. It can be asked for once.
pub(super) fn of(connection: &impl AsFd) -> io::Result<Syn> {
    let mut buffer = [0; MAX_SYN];
    let syn = sys::saved_syn(connection.as_fd(), &mut buffer)?;
    Ok(if syn.is_empty() {
        Syn::Lost
    } else {
        cookie(syn).map_or(Syn::Bare, Syn::Cookie)
    })
}

/// The address as it is compared: IPv4 is IPv4, also when a v6 socket shows it mapped.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The cookie in a SYN that begins with its IP header.
fn cookie(packet: &[u8]) -> Option<SocketCookie> {
    let tcp = transport(packet)?;
    let header = usize::from(tcp.get(12)? >> 4) * 4;
    let mut options = tcp.get(20..header)?;
    loop {
        options = match options {
            // End of options, or the padding between them (RFC 9293, 3.1).
            [] | [0, ..] => return None,
            [1, rest @ ..] => rest,
            &[syn_option::KIND, syn_option::LEN, high, low, ref rest @ ..]
                if [high, low] == syn_option::EXPERIMENT =>
            {
                let (cookie, _) = rest.split_first_chunk()?;
                return Some(SocketCookie::new(u64::from_be_bytes(*cookie)));
            }
            [_, len, ..] if *len >= 2 => options.get(usize::from(*len)..)?,
            _ => return None,
        };
    }
}

/// The TCP header and what follows.
fn transport(packet: &[u8]) -> Option<&[u8]> {
    match packet.first()? >> 4 {
        4 => packet.get(usize::from(packet.first()? & 15) * 4..),
        6 => after_extensions(*packet.get(6)?, packet.get(40..)?),
        _ => None,
    }
}

/// Skips IPv6 extension headers (RFC 8200, 4): hop-by-hop, routing and destination options.
fn after_extensions(mut next: u8, mut rest: &[u8]) -> Option<&[u8]> {
    while let 0 | 43 | 60 = next {
        next = *rest.first()?;
        rest = rest.get((usize::from(*rest.get(1)?) + 1) * 8..)?;
    }
    (next == 6).then_some(rest)
}

mod sys {
    //! The two socket options that no crate wraps.
    #![expect(
        unsafe_code,
        reason = "TCP_SAVE_SYN and TCP_SAVED_SYN are wrapped by no crate"
    )]

    use std::{
        io,
        os::fd::{AsRawFd as _, BorrowedFd},
    };

    /// `TCP_SAVE_SYN` of `include/uapi/linux/tcp.h`.
    const SAVE: libc::c_int = 27;
    /// `TCP_SAVED_SYN`.
    const SAVED: libc::c_int = 28;

    pub(super) fn save_syns(listener: BorrowedFd<'_>) -> io::Result<()> {
        let on: libc::c_int = 1;
        let (fd, level, len) = (listener.as_raw_fd(), libc::IPPROTO_TCP, size_of_val(&on));
        let len = libc::socklen_t::try_from(len).map_err(io::Error::other)?;
        // SAFETY: the option takes an int, and `on` is one of `len` bytes.
        let result = unsafe { libc::setsockopt(fd, level, SAVE, (&raw const on).cast(), len) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    pub(super) fn saved_syn<'a>(
        connection: BorrowedFd<'_>,
        buffer: &'a mut [u8],
    ) -> io::Result<&'a [u8]> {
        let (fd, level) = (connection.as_raw_fd(), libc::IPPROTO_TCP);
        let mut len = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
        let start = buffer.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `len` bytes, and the buffer has as many.
        let result = unsafe { libc::getsockopt(fd, level, SAVED, start, &raw mut len) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(buffer
            .get(..usize::try_from(len).map_err(io::Error::other)?)
            .unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    const COOKIE: u64 = 0x1122_3344_5566_7788;

    fn tcp(options: &[u8]) -> Vec<u8> {
        let mut padded = options.to_vec();
        padded.resize(options.len().div_ceil(4) * 4, 0);
        let mut header = vec![0; 20];
        header[12] = u8::try_from((20 + padded.len()) / 4).unwrap() << 4;
        header.extend(padded);
        header
    }

    fn v4(ip_options: usize, tcp: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20 + ip_options];
        packet[0] = 0x40 | u8::try_from(packet.len() / 4).unwrap();
        packet.extend(tcp);
        packet
    }

    fn v6(extensions: &[u8], tcp: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[6] = 6;
        let mut next = 6;
        let mut headers = Vec::new();
        for kind in extensions.iter().rev() {
            let mut header = vec![next, 1];
            header.resize(16, 0);
            headers = [header, headers].concat();
            next = *kind;
        }
        packet[6] = next;
        packet.extend(headers);
        packet.extend(tcp);
        packet
    }

    fn ours() -> Vec<u8> {
        syn_option::encode(COOKIE).to_vec()
    }

    #[test]
    fn the_cookie_is_found_wherever_the_option_stands() {
        let others = [
            2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        let before = [&others[..], &ours()].concat();
        let after = [&ours()[..], &others].concat();
        let foreign = [&[253, 4, 0, 1], &ours()[..]].concat();
        for options in [ours(), before, after, foreign] {
            for packet in [
                v4(0, &tcp(&options)),
                v4(12, &tcp(&options)),
                v6(&[], &tcp(&options)),
                v6(&[0, 43, 60], &tcp(&options)),
            ] {
                assert_eq!(
                    cookie(&packet),
                    Some(SocketCookie::new(COOKIE)),
                    "{options:?}"
                );
            }
        }
    }

    #[test]
    fn without_our_option_there_is_no_cookie() {
        let mut longer = ours();
        longer[1] = 13;
        let mut other_experiment = ours();
        other_experiment[3] ^= 1;
        let hidden = [&[0][..], &ours()].concat();
        let endless = [5, 0, 0, 0].to_vec();
        for options in [
            vec![],
            longer,
            other_experiment,
            hidden,
            endless,
            ours()[..8].to_vec(),
        ] {
            assert_eq!(cookie(&v4(0, &tcp(&options))), None, "{options:?}");
        }
        let udp = v6(&[17], &tcp(&ours()));
        assert_eq!(cookie(&udp), None);
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(packet in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = cookie(&packet);
        }

        #[test]
        fn no_prefix_of_a_good_packet_makes_it_panic(len in 0_usize..52) {
            prop_assert_eq!(cookie(&v4(0, &tcp(&ours()))[..len]), None);
        }
    }

    #[test]
    fn a_real_syn_is_kept_by_a_listener_that_was_told_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        save_syns(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        assert_eq!(of(&connection).unwrap(), Syn::Bare);
        // It was the only copy.
        assert_eq!(of(&connection).unwrap(), Syn::Lost);
    }

    #[test]
    fn an_address_is_compared_in_its_own_family() {
        let mapped: SocketAddr = "[::ffff:10.77.1.2]:4711".parse().unwrap();
        assert_eq!(canonical(mapped), "10.77.1.2:4711".parse().unwrap());
        let v6: SocketAddr = "[fd77::2]:4711".parse().unwrap();
        assert_eq!(canonical(v6), v6);
    }
}
