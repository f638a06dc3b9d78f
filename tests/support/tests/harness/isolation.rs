//! Nothing leads out of a node, and nothing runs where something does.

use std::{net::TcpStream, process::Command};

use bpf2iam_support::{Node, Options, addresses::NODE_V4, pod::Spec, privilege::root_or_skip};

#[test]
fn a_node_with_pods_is_isolated() {
    if !root_or_skip("a_node_with_pods_is_isolated") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let _pods = [1, 2, 3].map(|i| node.add_pod(Spec::new("ns", format!("p{i}"))).unwrap());
    node.verify_isolated().unwrap();
}

#[test]
fn a_node_with_more_pods_than_ip_lists_is_isolated() {
    if !root_or_skip("a_node_with_more_pods_than_ip_lists_is_isolated") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let specs = (0..150).map(|number| Spec::new("ns", format!("p{number}")));
    assert_eq!(node.add_pods(specs).unwrap().len(), 150);
}

#[test]
fn a_link_to_somewhere_else_is_noticed() {
    if !root_or_skip("a_link_to_somewhere_else_is_noticed") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let other = Node::create(Options::default()).unwrap();
    // Neither has an uplink, so that this test endangers nobody.
    let linked = Command::new("ip")
        .args([
            "-n",
            node.netns().name(),
            "link",
            "add",
            "leak",
            "type",
            "veth",
        ])
        .args(["peer", "name", "leak", "netns", other.netns().name()])
        .status();
    assert!(linked.unwrap().success());
    for node in [&node, &other] {
        let error = node.verify_isolated().unwrap_err().to_string();
        assert!(error.contains("leak"), "{error}");
        assert!(node.add_pod(Spec::new("ns", "late")).is_err());
    }
}

#[test]
fn the_client_does_nothing_in_the_machines_own_network() {
    // The destination is harmless, should it do something.
    let output = Command::new(env!("CARGO_BIN_EXE_pod-client"))
        .args(["connect", "--to", "127.0.0.1:1"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("without uplink"), "{said}");
}

#[test]
fn nodes_do_not_see_each_other() {
    if !root_or_skip("nodes_do_not_see_each_other") {
        return;
    }
    let node = Node::create(Options::default()).unwrap();
    let other = Node::create(Options::default()).unwrap();
    let listen = || std::net::TcpListener::bind((NODE_V4, 8080)).unwrap();
    let _listener = node.netns().run(listen).unwrap();
    let connect = || TcpStream::connect((NODE_V4, 8080)).is_ok();
    assert!(node.netns().run(connect).unwrap());
    assert!(!other.netns().run(connect).unwrap());
}
