use proptest::prelude::*;

use super::*;

/// A message with this type and payload.
fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + payload.len()).unwrap();
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend([0; 10]);
    message.extend(payload);
    message
}

/// What the kernel says of a socket with this remote address, and of its cgroup.
fn answer(family: u8, remote: [u8; 16], cgroup: Option<u64>) -> Vec<u8> {
    let mut payload = vec![family, 1, 0, 0];
    // Ports, the local address, the remote one, device and cookie.
    payload.extend([0x9c, 0x40, 0, 80]);
    payload.extend([7; 16]);
    payload.extend(remote);
    payload.extend([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    payload.extend([0; 20]);
    // INET_DIAG_SHUTDOWN, of one byte, comes before it.
    payload.extend([5, 0, 8, 0, 3, 0, 0, 0]);
    if let Some(cgroup) = cgroup {
        payload.extend(12_u16.to_ne_bytes());
        payload.extend(CGROUP_ID.to_ne_bytes());
        payload.extend(cgroup.to_ne_bytes());
    }
    message(SOCK_DIAG_BY_FAMILY, &payload)
}

fn v4(octets: [u8; 4]) -> [u8; 16] {
    let mut remote = [0; 16];
    remote[..4].copy_from_slice(&octets);
    remote
}

fn only_socket(datagram: &[u8]) -> Socket {
    let all: Vec<_> = replies(datagram).collect();
    let [Reply::Socket(socket)] = &all[..] else {
        panic!("{all:?}");
    };
    socket.clone()
}

#[test]
fn the_metadata_service_is_known_in_each_form_of_its_address() {
    let [mapped, ipv6] = ["::ffff:169.254.169.254", "fd00:ec2::254"]
        .map(|ip| ip.parse::<std::net::Ipv6Addr>().unwrap().octets());
    for (family, remote, expected) in [
        (2, v4([169, 254, 169, 254]), true),
        (10, mapped, true),
        (10, ipv6, true),
        (2, v4([169, 254, 169, 253]), false),
        // These bytes are an address of another family.
        (10, v4([169, 254, 169, 254]), false),
        (2, mapped, false),
    ] {
        let socket = only_socket(&answer(family, remote, None));
        assert_eq!(socket.remote().is_metadata(), expected, "{socket:?}");
    }
}

#[test]
fn a_cgroup_is_told_or_not() {
    let remote = v4([10, 0, 0, 1]);
    let told = only_socket(&answer(2, remote, Some(4711)));
    assert_eq!(told.cgroup, Some(CgroupId::new(4711)));
    assert_eq!(only_socket(&answer(2, remote, None)).cgroup, None);
}

#[test]
fn a_socket_is_named_to_the_kernel_as_the_kernel_named_it() {
    let told = answer(10, [9; 16], Some(1));
    let wanted = destroy(&only_socket(&told));
    assert_eq!(wanted.len(), 72);
    assert_eq!(&wanted[..4], 72_u32.to_ne_bytes());
    assert_eq!(&wanted[4..6], SOCK_DESTROY.to_ne_bytes());
    assert_eq!(&wanted[16..18], [10, TCP]);
    assert_eq!(wanted[24..], told[HEADER + 4..HEADER + 4 + ID]);
}

#[test]
fn all_replies_of_a_datagram_are_read_up_to_the_end() {
    let error = |errno: i32| message(NLMSG_ERROR, &(-errno).to_ne_bytes());
    let socket = || answer(2, [1; 16], None);
    let unknown = message(99, &[1; 5]);
    for (datagram, sockets, end) in [
        (
            [socket(), socket(), message(NLMSG_DONE, &[])].concat(),
            2,
            Some(Ok(())),
        ),
        (message(NLMSG_DONE, &[0; 4]), 0, Some(Ok(()))),
        (error(0), 0, Some(Ok(()))),
        (error(95), 0, Some(Err(95))),
        ([unknown, vec![0; 3], socket()].concat(), 1, None),
        (socket()[..80].to_vec(), 0, None),
        (vec![], 0, None),
    ] {
        let all: Vec<_> = replies(&datagram).collect();
        let found = all.iter().filter(|one| matches!(one, Reply::Socket(_)));
        assert_eq!(found.count(), sockets, "{all:?}");
        let last = all.last().and_then(|last| match last {
            Reply::End(ended) => Some(*ended),
            Reply::Socket(_) => None,
        });
        assert_eq!(last, end, "{all:?}");
    }
}

proptest! {
    #[test]
    fn nothing_that_may_come_is_too_much(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _any = replies(&bytes).count();
        let _any = replies(&message(SOCK_DIAG_BY_FAMILY, &bytes)).count();
    }

    #[test]
    fn what_is_cut_off_somewhere_is_no_socket(length in 0..108_usize) {
        let whole = answer(2, [1; 16], Some(1));
        prop_assert_eq!(replies(&whole[..length.min(whole.len() - 1)]).count(), 0);
    }
}
