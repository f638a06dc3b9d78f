//! Where nothing stops them, the client's attempts succeed. Otherwise a test that sees one fail proves nothing.

use std::{net::SocketAddr, time::Duration};

use bpf2iam_support::{
    Node, Options, Place, Pod,
    client::{PodClient, Report, reported},
    pod::Spec,
    privilege::root_or_skip,
};

use crate::server::{Server, greeting};

const PATIENCE: Duration = Duration::from_secs(10);
const V4: &str = "169.254.169.254:80";
const MAPPED: &str = "[::ffff:169.254.169.254]:80";

fn client() -> PodClient {
    PodClient::at(env!("CARGO_BIN_EXE_pod-client"))
}

fn attempt(place: &Place, args: &[&str]) -> Report {
    client().attempt(place, args).unwrap()
}

/// A node with a service at the metadata addresses, and two pods.
fn scene() -> (Node, Server, [Pod; 2]) {
    let node = Node::create(Options::default()).unwrap();
    let server = Server::start(&node);
    let pods = ["a", "b"].map(|name| node.add_pod(Spec::new("ns", name)).unwrap());
    (node, server, pods)
}

#[test]
fn every_connection_reaches_the_metadata_service() {
    if !root_or_skip("every_connection_reaches_the_metadata_service") {
        return;
    }
    let (node, _server, [pod, _]) = scene();
    let host_pod = node
        .add_pod(Spec::new("ns", "h").on_host_network())
        .unwrap();
    for (args, peer) in [
        (&["get", "/latest/meta-data/"] as &[&str], V4),
        (&["get", "/latest/meta-data/", "--token"], V4),
        (&["connect"], V4),
        (&["nonblocking"], V4),
        (&["mapped"], MAPPED),
        (&["port-81"], "169.254.169.254:81"),
        (&["port-81-mapped"], "[::ffff:169.254.169.254]:81"),
        (&["port-443"], "169.254.169.254:443"),
        (&["direct", "--to", "10.77.0.1:80"], "10.77.0.1:80"),
        (&["half-close"], V4),
        (&["mptcp"], V4),
        (&["mptcp-mapped"], MAPPED),
        (&["sctp"], V4),
        (&["fastopen-sendto"], V4),
        (&["fastopen-connect"], V4),
        (&["mptcp-fastopen"], V4),
        (&["uring"], V4),
        (&["uring-sqpoll"], V4),
        (&["uring-async"], V4),
        (&["nested-cgroup", "--name", "kubepods-podx.slice"], V4),
    ] {
        for (place, ip) in [(pod.place(), "10.77.1.1"), (host_pod.place(), "")] {
            let report = attempt(&place, args);
            if !report.was_made() {
                continue;
            }
            assert_eq!(report.status, Some(200), "{report:?}");
            assert_eq!(report.peer, peer.parse().ok(), "{report:?}");
            assert!(
                report.body.as_ref().unwrap().starts_with(&greeting(ip)),
                "{report:?}"
            );
        }
    }
}

#[test]
fn the_ipv6_address_is_reached() {
    if !root_or_skip("the_ipv6_address_is_reached") {
        return;
    }
    let (_node, _server, [pod, _]) = scene();
    for (name, peer) in [
        ("ipv6", "[fd00:ec2::254]:80"),
        ("port-81-ipv6", "[fd00:ec2::254]:81"),
    ] {
        let report = attempt(&pod.place(), &[name]);
        assert_eq!(report.body, Some(greeting("fd77::1:1")), "{report:?}");
        assert_eq!(report.peer, peer.parse().ok());
    }
}

#[test]
fn datagrams_and_raw_packets_reach_the_metadata_service() {
    if !root_or_skip("datagrams_and_raw_packets_reach_the_metadata_service") {
        return;
    }
    let (_node, _server, [pod, _]) = scene();
    for (name, reply) in [
        ("udp-connect", "hello 10.77.1.1"),
        ("udp-connect-mapped", "hello 10.77.1.1"),
        ("udp-connect-ipv6", "hello fd77::1:1"),
        ("udp-sendto", "hello 10.77.1.1"),
        ("udp-sendto-mapped", "hello 10.77.1.1"),
        ("udp-sendto-ipv6", "hello fd77::1:1"),
        ("raw-sendto", "syn-ack"),
        ("raw-connect", "syn-ack"),
        ("raw-header", "syn-ack"),
        ("icmp", "echo-reply"),
        ("raw-sendto-ipv6", "syn-ack"),
        ("icmp-ipv6", "echo-reply"),
        ("packet", "syn-ack"),
    ] {
        let report = attempt(&pod.place(), &[name]);
        assert_eq!(report.reply.as_deref(), Some(reply), "{report:?}");
    }
}

#[test]
fn a_datagram_leaves_a_socket_that_is_connected_elsewhere() {
    if !root_or_skip("a_datagram_leaves_a_socket_that_is_connected_elsewhere") {
        return;
    }
    let (_node, server, [pod, _]) = scene();
    let report = attempt(&pod.place(), &["udp-sendto-connected"]);
    assert_eq!(report.sent, Some(8), "{report:?}");
    // An answered datagram comes after it on the same path.
    attempt(&pod.place(), &["udp-sendto"]);
    assert_eq!(server.datagrams(), 2);
}

#[test]
fn a_nested_network_leads_nowhere() {
    if !root_or_skip("a_nested_network_leads_nowhere") {
        return;
    }
    let (_node, _server, [pod, _]) = scene();
    let report = attempt(&pod.place(), &["nested-netns"]);
    if report.was_made() {
        assert_eq!(report.error.as_deref(), Some("ENETUNREACH"), "{report:?}");
        assert_eq!(report.failed_at.as_deref(), Some("connect"));
    }
}

#[test]
fn a_socket_is_connected_again_to_somebody_else() {
    if !root_or_skip("a_socket_is_connected_again_to_somebody_else") {
        return;
    }
    let (_node, _server, [pod, _]) = scene();
    let report = attempt(&pod.place(), &["unspec", "--other", "10.77.0.1:81"]);
    assert_eq!(report.earlier_peer, "169.254.169.254:80".parse().ok());
    assert_eq!(report.peer, "10.77.0.1:81".parse().ok());
    assert_eq!(report.status, Some(200));
}

#[test]
fn a_connection_is_used_later_than_it_was_opened() {
    if !root_or_skip("a_connection_is_used_later_than_it_was_opened") {
        return;
    }
    let (_node, _server, [pod, _]) = scene();
    let mut process = client().start(&pod.place(), &["opened-before"]).unwrap();
    process
        .wait_for_line(|line| line == "opened", PATIENCE)
        .unwrap();
    assert_eq!(process.lines().len(), 1);
    process.send_line("go on").unwrap();
    let report: Report = reported(&process, PATIENCE).unwrap();
    assert_eq!(report.status, Some(200));
}

#[test]
fn a_socket_of_one_pod_is_connected_by_another() {
    if !root_or_skip("a_socket_of_one_pod_is_connected_by_another") {
        return;
    }
    let (node, _server, [maker, user]) = scene();
    let path = std::env::temp_dir().join(node.name());
    let path = path.to_str().unwrap();
    let receiver = client()
        .start(&user.place(), &["scm-receive", "--socket", path])
        .unwrap();
    let sent = attempt(&maker.place(), &["scm-send", "--socket", path]);
    let report: Report = reported(&receiver, PATIENCE).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(sent.sent, Some(1));
    assert_eq!(
        report.local.map(|local: SocketAddr| local.ip().to_string()),
        Some("10.77.1.1".into())
    );
    assert_eq!(report.body, Some(greeting("10.77.1.1")), "{report:?}");
}

#[test]
fn nobody_at_home_is_reported_as_such() {
    if !root_or_skip("nobody_at_home_is_reported_as_such") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let pod = node.add_pod(Spec::new("ns", "a")).unwrap();
    for name in [
        "connect",
        "mapped",
        "ipv6",
        "uring",
        "nonblocking",
        "udp-connect",
    ] {
        let report = attempt(&pod.place(), &[name]);
        assert_eq!(report.error.as_deref(), Some("ECONNREFUSED"), "{report:?}");
        assert!(!report.answered());
    }
    assert_eq!(
        attempt(&pod.place(), &["raw-sendto"]).reply.as_deref(),
        Some("rst")
    );
}
