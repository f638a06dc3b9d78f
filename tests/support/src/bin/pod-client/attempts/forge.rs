//! A connection made by hand, whose SYN carries what the kernel puts there for a connection of its own: a cookie.
//!
//! The pod's kernel knows nothing of the connection and would reset it. Somebody has to keep those packets back.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    process,
    time::Instant,
};

use bpf2iam_support::client::Report;
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags, ipproto},
};

use crate::{
    args::Args,
    http::Request,
    socket,
    trouble::{During as _, Trouble},
};

use super::{packet, raw};

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Our first sequence number.
const FIRST: u32 = 1;

/// `forge --to PROXY [--cookie NUMBER] [--path PATH]`. Without a cookie there is no option in the SYN.
pub(super) fn forge(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let line = Line {
        socket: raw::raw(ipproto::TCP)?,
        from: SocketAddrV4::new(raw::own_address().during("own address")?, port()),
        to: args.required("--to")?,
    };
    let option = args.optional("--cookie")?.map(option).unwrap_or_default();
    line.send(SYN, (FIRST, 0), &option, &[])?;
    let Some(answer) = line.hear()? else {
        return Err(Errno::TIMEDOUT).during("connect");
    };
    if answer.flags & (SYN | ACK | RST) != SYN | ACK {
        return Err(Errno::CONNREFUSED).during("connect");
    }
    report.connected = true;
    report.local = Some(line.from.into());
    let next = (FIRST + 1, answer.sequence.wrapping_add(1));
    line.send(ACK | PSH, next, &[], &Request::get(args.path()).bytes())?;
    line.answer(report)
}

/// Everything that is said over a line of our own making.
struct Line {
    socket: OwnedFd,
    from: SocketAddrV4,
    to: SocketAddrV4,
}

/// A segment that came.
struct Segment {
    flags: u8,
    sequence: u32,
    payload: Vec<u8>,
}

impl Line {
    fn send(
        &self,
        flags: u8,
        (sequence, acknowledged): (u32, u32),
        options: &[u8],
        payload: &[u8],
    ) -> Result<(), Trouble> {
        let mut segment = Vec::with_capacity(20 + options.len() + payload.len());
        segment.extend(self.from.port().to_be_bytes());
        segment.extend(self.to.port().to_be_bytes());
        segment.extend(sequence.to_be_bytes());
        segment.extend(acknowledged.to_be_bytes());
        let words = u8::try_from(5 + options.len() / 4).unwrap_or_default();
        segment.extend([words << 4, flags]);
        segment.extend(u16::MAX.to_be_bytes());
        segment.extend([0; 4]);
        segment.extend(options);
        segment.extend(payload);
        let sum = packet::checksum(&[&self.pseudo_header(segment.len()), &segment[..]].concat());
        packet::put_checksum(&mut segment, 16, sum);
        let to = SocketAddrV4::new(*self.to.ip(), 0);
        let sent = rustix::net::sendto(&self.socket, &segment, SendFlags::empty(), &to);
        sent.during("send").map(drop)
    }

    fn pseudo_header(&self, length: usize) -> [u8; 12] {
        let mut header = [0; 12];
        header[..4].copy_from_slice(&self.from.ip().octets());
        header[4..8].copy_from_slice(&self.to.ip().octets());
        header[9] = 6;
        header[10..].copy_from_slice(&u16::try_from(length).unwrap_or_default().to_be_bytes());
        header
    }

    /// The next segment for us, if one comes in time.
    fn hear(&self) -> Result<Option<Segment>, Trouble> {
        let deadline = Instant::now() + socket::PATIENCE;
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            match rustix::net::recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Err(Errno::AGAIN) => {}
                received => {
                    let (length, _) = received.during("receive")?;
                    let datagram = buffer.get(..length).unwrap_or_default();
                    if let Some(segment) = self.understand(datagram) {
                        return Ok(Some(segment));
                    }
                }
            }
        }
        Ok(None)
    }

    fn understand(&self, datagram: &[u8]) -> Option<Segment> {
        let from: [u8; 4] = datagram.get(12..16)?.try_into().ok()?;
        let segment = packet::payload(datagram)?;
        let ports = [self.to.port().to_be_bytes(), self.from.port().to_be_bytes()].concat();
        if Ipv4Addr::from(from) != *self.to.ip() || segment.get(..4)? != ports {
            return None;
        }
        let header = usize::from(segment.get(12)? >> 4) * 4;
        Some(Segment {
            flags: *segment.get(13)?,
            sequence: u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?),
            payload: segment.get(header..)?.to_vec(),
        })
    }

    /// Notes the first thing that the other side says, or that it says nothing and goes.
    fn answer(&self, report: &mut Report) -> Result<(), Trouble> {
        while let Some(segment) = self.hear()? {
            if !segment.payload.is_empty() {
                report.body = Some(String::from_utf8_lossy(&segment.payload).into_owned());
                return Ok(());
            }
            if segment.flags & (FIN | RST) != 0 {
                return Err(Errno::CONNRESET).during("receive");
            }
        }
        Err(Errno::TIMEDOUT).during("receive")
    }
}

/// As `ebpf/src/abi.rs` defines it.
fn option(cookie: u64) -> Vec<u8> {
    [&[253, 12, 0xeb, 0x9f], &cookie.to_be_bytes()[..]].concat()
}

/// One that only this process uses, below those that the kernel gives out.
fn port() -> u16 {
    20_000 + u16::try_from(process::id() % 10_000).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_twelve_bytes_and_ends_with_the_cookie() {
        let option = option(0x0102_0304_0506_0708);
        assert_eq!(option, [253, 12, 0xeb, 0x9f, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
