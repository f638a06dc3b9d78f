//! Packet sockets, below everything that a cgroup's programs see.

#![expect(unsafe_code, reason = "nobody wraps addresses of packet sockets")]

use std::os::fd::{AsRawFd as _, OwnedFd};

use bpf2iam_support::{addresses::GATEWAY_MAC, client::Report};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, ipproto, netdevice::name_to_index, socket_with},
};

use crate::{
    args::Args,
    trouble::{During as _, Trouble},
};

use super::raw;

/// `ETH_P_IP` of `linux/if_ether.h`.
const IPV4: u16 = 0x0800;

/// A SYN right onto the link (`--device`).
pub(super) fn packet(args: &Args, report: &mut Report) -> Result<(), Trouble> {
    let syn = raw::syn()?;
    let ear = raw::raw(ipproto::TCP)?;
    // Protocol 0: it only sends.
    let (family, kind) = (AddressFamily::PACKET, SocketType::DGRAM);
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).during("socket")?;
    let device = args.text("--device").unwrap_or("eth0");
    let device = name_to_index(&ear, device).during("device")?;
    report.sent = Some(send(&socket, &syn.datagram(), device).during("send")?);
    raw::hear(&ear, |packet| syn.answer(packet), report)
}

/// The kernel puts the link's header before it.
fn send(socket: &OwnedFd, packet: &[u8], device: u32) -> Result<usize, Errno> {
    let gateway = address(device)?;
    let length = libc::socklen_t::try_from(size_of_val(&gateway)).map_err(|_long| Errno::INVAL)?;
    // SAFETY: packet and address are live for the whole call, and both lengths are theirs.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            (&raw const gateway).cast(),
            length,
        )
    };
    usize::try_from(sent).map_err(|_negative| {
        Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
    })
}

/// The gateway's, on this side of the link.
fn address(device: u32) -> Result<libc::sockaddr_ll, Errno> {
    let mut gateway = [0; 8];
    gateway[..6].copy_from_slice(&GATEWAY_MAC.octets());
    Ok(libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).map_err(|_large| Errno::INVAL)?,
        sll_protocol: IPV4.to_be(),
        sll_ifindex: device.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: gateway,
    })
}
