//! Packets made by hand, as a raw socket sends them.

use std::net::Ipv4Addr;

/// The metadata service's port.
const HTTP: u16 = 80;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const RST: u8 = 0x04;

/// The first packet of a connection to the metadata service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syn {
    pub(super) from: Ipv4Addr,
    pub(super) port: u16,
    pub(super) to: Ipv4Addr,
}

impl Syn {
    /// From the TCP header on.
    pub(super) fn segment(self) -> Vec<u8> {
        segment(self.port, &[self.from.octets(), self.to.octets()].concat())
    }

    /// From the IP header on.
    pub(super) fn datagram(self) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(40);
        datagram.extend([0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0]);
        datagram.extend(self.from.octets());
        datagram.extend(self.to.octets());
        let sum = checksum(&datagram);
        put_checksum(&mut datagram, 10, sum);
        datagram.extend(self.segment());
        datagram
    }

    /// What an IP packet says in answer to it, if it is one.
    pub(super) fn answer(self, datagram: &[u8]) -> Option<&'static str> {
        let from = datagram.get(12..16)?;
        (from == self.to.octets()).then_some(())?;
        answer(self.port, payload(datagram)?)
    }
}

/// The first segment of a connection from `port`. Its checksum covers `addresses`, who sends and who receives: by either
/// version of IP the rest comes to the same.
pub(super) fn segment(port: u16, addresses: &[u8]) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend(port.to_be_bytes());
    segment.extend(HTTP.to_be_bytes());
    segment.extend(1_u32.to_be_bytes());
    segment.extend(0_u32.to_be_bytes());
    segment.extend([0x50, SYN]);
    segment.extend(1000_u16.to_be_bytes());
    segment.extend([0; 4]);
    let sum = checksum(&[addresses, &[0, 6, 0, 20], &segment].concat());
    put_checksum(&mut segment, 16, sum);
    segment
}

/// What a segment says in answer to one from `port`, if it is an answer.
pub(super) fn answer(port: u16, segment: &[u8]) -> Option<&'static str> {
    let ports = [HTTP.to_be_bytes(), port.to_be_bytes()].concat();
    (segment.get(..4)? == ports).then_some(())?;
    match segment.get(13)? & (SYN | ACK | RST) {
        flags if flags & RST != 0 => Some("rst"),
        flags if flags == SYN | ACK => Some("syn-ack"),
        _ => None,
    }
}

/// An ICMP echo request.
pub(super) fn echo_request() -> Vec<u8> {
    let mut packet = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    let sum = checksum(&packet);
    put_checksum(&mut packet, 2, sum);
    packet
}

/// Whether an IP packet is an echo reply of `from`.
pub(super) fn is_echo_reply(datagram: &[u8], from: Ipv4Addr) -> bool {
    datagram.get(12..16) == Some(&from.octets())
        && payload(datagram).and_then(|icmp| icmp.first()) == Some(&0)
}

/// What follows the IP header.
pub(super) fn payload(datagram: &[u8]) -> Option<&[u8]> {
    let words = usize::from(datagram.first()? & 0x0f);
    datagram.get(words * 4..)
}

pub(super) fn put_checksum(packet: &mut [u8], at: usize, sum: u16) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Internet's checksum, RFC 1071.
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        [high] => u16::from_be_bytes([high, 0]),
        _ => 0,
    });
    let carry = |sum: u16, word: u16| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    };
    !words.fold(0, carry)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIS: Syn = Syn {
        from: Ipv4Addr::new(10, 77, 1, 1),
        port: 40001,
        to: Ipv4Addr::new(169, 254, 169, 254),
    };

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(
            checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]),
            !0xddf2
        );
    }

    #[test]
    fn a_header_with_its_checksum_sums_to_nothing() {
        let datagram = THIS.datagram();
        assert_eq!(checksum(&datagram[..20]), 0);
        assert_eq!(datagram.len(), 40);
        assert_eq!(checksum(&echo_request()), 0);
    }

    #[test]
    fn only_an_answer_to_this_very_packet_counts() {
        let reply = |from: Ipv4Addr, port: u16, flags: u8| {
            let back = Syn {
                from,
                port: HTTP,
                to: THIS.from,
            };
            let mut datagram = back.datagram();
            datagram[22..24].copy_from_slice(&port.to_be_bytes());
            datagram[33] = flags;
            THIS.answer(&datagram)
        };
        assert_eq!(reply(THIS.to, 40001, SYN | ACK), Some("syn-ack"));
        assert_eq!(reply(THIS.to, 40001, RST | ACK), Some("rst"));
        assert_eq!(reply(THIS.to, 40002, SYN | ACK), None);
        assert_eq!(reply(THIS.from, 40001, SYN | ACK), None);
        assert_eq!(reply(THIS.to, 40001, ACK), None);
        assert_eq!(THIS.answer(&[]), None);
    }
}
