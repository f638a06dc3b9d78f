//! Loops count what happens, no more and no less.

use std::time::Duration;

use bpf2iam_support::{
    Node, Options, Pod,
    addresses::NODE_V4,
    client::{PodClient, Sequences, reported},
    moment::Moment,
    pod::Spec,
    privilege::root_or_skip,
};

use crate::server::Server;

fn client() -> PodClient {
    PodClient::at(env!("CARGO_BIN_EXE_pod-client"))
}

fn scene() -> (Node, Server, Pod) {
    let node = Node::create(Options::default()).unwrap();
    let server = Server::start(&node);
    let pod = node.add_pod(Spec::new("ns", "a")).unwrap();
    (node, server, pod)
}

#[test]
fn a_hammer_counts_right_and_wrong_answers() {
    if !root_or_skip("a_hammer_counts_right_and_wrong_answers") {
        return;
    }
    let (_node, server, pod) = scene();
    let hammer = |expect| {
        let args = [
            "hammer",
            "--threads",
            "4",
            "--connects",
            "400",
            "--expect",
            expect,
        ];
        client().tally(&pod.place(), &args).unwrap()
    };
    let right = hammer("hello 10.77.1.1");
    assert_eq!((right.ok, right.total()), (400, 400), "{right:?}");
    assert!(right.connect.unwrap().p99 >= right.connect.unwrap().min);
    let wrong = hammer("hello 10.77.9.9");
    assert_eq!((wrong.wrong, wrong.samples.len()), (400, 3), "{wrong:?}");
    assert_eq!(wrong.samples[0], "hello 10.77.1.1");
    drop(server);
    let refused = hammer("");
    assert_eq!(refused.errors["ECONNREFUSED"], 400, "{refused:?}");
}

#[test]
fn a_victim_keeps_to_its_port() {
    if !root_or_skip("a_victim_keeps_to_its_port") {
        return;
    }
    let (_node, _server, pod) = scene();
    let args = [
        "victim",
        "--port",
        "33333",
        "--count",
        "300",
        "--expect",
        "10.77.1.1",
    ];
    let tally = client().tally(&pod.place(), &args).unwrap();
    assert_eq!((tally.ok, tally.total()), (300, 300), "{tally:?}");
}

#[test]
fn a_poisoner_without_a_redirect_gets_nowhere() {
    if !root_or_skip("a_poisoner_without_a_redirect_gets_nowhere") {
        return;
    }
    let (_node, _server, pod) = scene();
    let args = [
        "poison",
        "--victim-ip",
        "10.77.1.7",
        "--port",
        "33333",
        "--proxy",
        "10.77.0.1:8181",
        "--seconds",
        "1",
    ];
    let tally = client().tally(&pod.place(), &args).unwrap();
    assert_eq!(tally.ok, 0, "{tally:?}");
    assert_eq!(tally.errors["ENETUNREACH"], tally.total(), "{tally:?}");
}

#[test]
fn a_poisoner_pretends_to_be_its_victim() {
    if !root_or_skip("a_poisoner_pretends_to_be_its_victim") {
        return;
    }
    let (_node, _server, pod) = scene();
    // As if it were redirected: it connects to the proxy that it plays itself.
    let proxy = format!("{NODE_V4}:8181");
    let args = [
        "poison",
        "--victim-ip",
        "10.77.1.7",
        "--port",
        "33333",
        "--proxy",
        &proxy,
        "--to",
        &proxy,
        "--seconds",
        "1",
    ];
    let tally = client().tally(&pod.place(), &args).unwrap();
    assert_eq!((tally.ok > 100, tally.errors.len()), (true, 0), "{tally:?}");
}

#[test]
fn connects_are_timed() {
    if !root_or_skip("connects_are_timed") {
        return;
    }
    let (_node, _server, pod) = scene();
    let args = [
        "connect-bench",
        "--target",
        "10.77.0.1:80",
        "--seconds",
        "1",
    ];
    let tally = client().tally(&pod.place(), &args).unwrap();
    let latency = tally.connect.unwrap();
    assert_eq!(tally.ok, tally.total(), "{tally:?}");
    assert!(
        0 < latency.min && latency.min <= latency.p50 && latency.p50 <= latency.p99,
        "{latency}"
    );
}

#[test]
fn a_sequence_begins_at_its_moment_and_says_where_it_ended() {
    if !root_or_skip("a_sequence_begins_at_its_moment_and_says_where_it_ended") {
        return;
    }
    let patience = Duration::from_secs(10);
    let (_node, server, pod) = scene();
    let waiting = || {
        let client = client().start(&pod.place(), &["sequence"]).unwrap();
        let is_waiting = |line: &str| line == "waiting";
        client.wait_for_line(is_waiting, patience).unwrap();
        client
    };
    let mut client = waiting();
    let begin = Moment::now();
    let moment = begin.plus(Duration::from_millis(100));
    client.send_line(&moment.to_string()).unwrap();
    client.close_input();
    let Sequences { sequences } = reported(&client, patience).unwrap();
    let [sequence] = &sequences[..] else {
        panic!("{sequences:?}");
    };
    // The server is no metadata service: whatever it is asked, it says hello.
    assert_eq!(sequence.failed.as_deref(), Some("credentials: no keys"));
    assert!(sequence.began + sequence.longest <= sequence.ended);
    assert!(moment.plus(sequence.ended) <= Moment::now());
    drop(server);
    let mut late = waiting();
    late.send_line(&begin.to_string()).unwrap();
    assert!(!late.wait(patience).unwrap().success());
}
