//! Every way around the redirect that we know of, and where it leads with the agent there. What must be redirected is
//! redirected, what must be refused is refused; where a way is open, it says so here.

use std::collections::BTreeSet;

use bpf2iam_kernel::foreign::{Foreign, Sharing};
use bpf2iam_support::{
    Place, Pod,
    cgroup::Driver,
    client::Report,
    process::output,
    stage::{STS, Stage},
};

use crate::scene::{
    NODE_KEYS, PATIENCE, assert_refused, assert_role, attempt, firewall, host_pod, leaks, packets,
    pod, proxy, stage, stage_with, start,
};

/// Where a way leads.
#[derive(Clone, Copy, Debug)]
enum End {
    /// To the pod's own role; the client believes to talk to this address.
    Role(&'static str),
    /// To the pod's own role, but the client sees the proxy's address.
    RoleOfProxy,
    /// The call fails: the error, and what was being done.
    Refused(&'static str, &'static str),
    /// The call fails, one way or another.
    Nowhere,
    /// To the metadata service: a hole that cgroup programs cannot close. A SYN gets this reply.
    Hole(&'static str),
}

use End::{Hole, Nowhere, Refused, Role, RoleOfProxy};

const V4: &str = "169.254.169.254:80";
const V4_MAPPED: &str = "[::ffff:169.254.169.254]:80";

/// By the name of the attempt.
const WAYS: [(&str, End); 34] = [
    ("connect", Role(V4)),
    ("nonblocking", Role(V4)),
    ("mapped", Role(V4_MAPPED)),
    ("ipv6", Role("[fd00:ec2::254]:80")),
    ("half-close", Role(V4)),
    ("uring", Role(V4)),
    ("uring-sqpoll", Role(V4)),
    ("uring-async", Role(V4)),
    ("fastopen-sendto", Role(V4)),
    ("fastopen-connect", Role(V4)),
    // What the programs remember is kept at the TCP socket below, which getpeername does not look at.
    ("mptcp", RoleOfProxy),
    ("mptcp-mapped", RoleOfProxy),
    ("mptcp-fastopen", RoleOfProxy),
    ("port-81", Refused("EPERM", "connect")),
    ("port-81-mapped", Refused("EPERM", "connect")),
    ("port-81-ipv6", Refused("EPERM", "connect")),
    ("port-443", Refused("EPERM", "connect")),
    // Its connect passes by the hook; its packets do not.
    ("sctp", Nowhere),
    ("udp-connect", Refused("EPERM", "connect")),
    ("udp-connect-mapped", Refused("EPERM", "connect")),
    ("udp-connect-ipv6", Refused("EPERM", "connect")),
    ("udp-sendto", Refused("EPERM", "send")),
    ("udp-sendto-mapped", Refused("EPERM", "send")),
    ("udp-sendto-ipv6", Refused("EPERM", "send")),
    ("udp-sendto-connected", Refused("EPERM", "send")),
    ("raw-sendto", Refused("EPERM", "send")),
    ("raw-connect", Refused("EPERM", "send")),
    ("raw-header", Refused("EPERM", "send")),
    ("raw-header-other", Refused("EPERM", "send")),
    ("icmp", Refused("EPERM", "send")),
    ("raw-sendto-ipv6", Refused("EPERM", "send")),
    ("icmp-ipv6", Refused("EPERM", "send")),
    // It is redirected to where no route leads.
    ("nested-netns", Refused("ENETUNREACH", "connect")),
    // A packet socket belongs to a cgroup, but no program of a cgroup sees what it sends.
    ("packet", Hole("syn-ack")),
];

/// Attempts with a test of their own, here or in the file that is named.
const ELSEWHERE: [(&str, &str); 10] = [
    ("get", "path, leak"),
    ("direct", "direct"),
    ("opened-before", "established"),
    ("opened-before-mptcp", "established"),
    ("unspec", "here"),
    ("refused-first", "here"),
    ("nested-cgroup", "here, path"),
    ("scm-send", "handover"),
    ("scm-receive", "handover"),
    ("forge", "forgery"),
];

fn assert_end(report: &Report, end: End, role: &str, proxy: &str) {
    assert!(!leaks(report), "{report:?}");
    let peer = report.peer.map(|peer| peer.to_string());
    match end {
        Role(address) => {
            assert_role(report, role);
            assert_eq!(peer.as_deref(), Some(address), "{report:?}");
        }
        RoleOfProxy => {
            assert_role(report, role);
            let shown = peer.is_some_and(|peer| peer == proxy || peer == mapped(proxy));
            assert!(shown, "{report:?}");
        }
        Refused(error, doing) => assert_refused(report, error, doing),
        Nowhere => assert!(report.error.is_some() && !report.answered(), "{report:?}"),
        Hole(reply) => assert_eq!(report.reply.as_deref(), Some(reply), "{report:?}"),
    }
}

/// `[::ffff:10.77.0.1]:1` for `10.77.0.1:1`.
fn mapped(address: &str) -> String {
    let (ip, port) = address.rsplit_once(':').unwrap();
    format!("[::ffff:{ip}]:{port}")
}

#[test]
fn every_way_from_a_pod_leads_to_its_own_role_or_nowhere() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    for (way, end) in WAYS {
        let report = attempt(&stage, &pod.place(), &[way]);
        if report.was_made() {
            assert_end(&report, end, "cart", &proxy(&agent));
        }
    }
}

#[test]
fn every_way_from_a_pod_on_the_nodes_network_leads_to_its_own_role_or_nowhere() {
    let Some(stage) = stage() else { return };
    let pod = host_pod(&stage, "log");
    let agent = start(&stage, &[]);
    // There is no link to put a packet onto: the metadata address is the node's own here.
    for (way, end) in WAYS.into_iter().filter(|(way, _)| *way != "packet") {
        let report = attempt(&stage, &pod.place(), &[way]);
        if report.was_made() {
            assert_end(&report, end, "log", &proxy(&agent));
        }
    }
}

#[test]
fn no_way_that_the_client_knows_is_forgotten() {
    let Some(stage) = stage() else { return };
    let mut list = stage
        .client()
        .command(&stage.node().host(), &["list"])
        .unwrap();
    let list = String::from_utf8(output(&mut list, PATIENCE).unwrap().stdout).unwrap();
    // Loops come last, and are no ways of their own.
    let known: BTreeSet<_> = list.lines().take_while(|name| *name != "hammer").collect();
    let tried = WAYS.iter().map(|(way, _)| *way);
    let tried: BTreeSet<_> = tried.chain(ELSEWHERE.map(|(way, _)| way)).collect();
    assert_eq!(known, tried);
}

#[test]
fn a_family_without_a_listener_is_refused() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &["--node-ip", "10.77.0.1"]);
    assert_role(&attempt(&stage, &pod.place(), &["connect"]), "cart");
    assert_role(&attempt(&stage, &pod.place(), &["mapped"]), "cart");
    let report = attempt(&stage, &pod.place(), &["ipv6", "--path", NODE_KEYS]);
    assert_refused(&report, "EPERM", "connect");
    assert_eq!(agent.kernel_counter("refused_no_proxy").unwrap(), 1);
}

/// Counts in a pod's network: connections for the proxy and for another server whose SYN has our option, and those for
/// the other server without it.
fn watch(stage: &Stage, pod: &Pod, proxy: u16) -> Place {
    let other = STS.port();
    let rules = format!(
        "table inet watch {{
           counter proxy {{ }}
           counter other {{ }}
           counter plain {{ }}
           chain out {{
             type filter hook output priority 0
             tcp flags syn / syn,ack tcp dport {proxy} tcp option 253 exists counter name proxy
             tcp flags syn / syn,ack tcp dport {other} tcp option 253 exists counter name other
             tcp flags syn / syn,ack tcp dport {other} tcp option 253 missing counter name plain
           }}
         }}"
    );
    firewall(stage, pod, &rules)
}

/// Connects a socket to the metadata service and then, in the `way` that is named, to another server, which must be
/// reached with nothing of ours in the SYN. `place` is where it is watched.
fn elsewhere(stage: &Stage, pod: &Pod, place: &Place, way: &str) -> Report {
    let other = STS.to_string();
    let report = attempt(stage, &pod.place(), &[way, "--other", &other]);
    assert_eq!(report.peer, Some(STS), "{report:?}");
    assert!(report.answered(), "{report:?}");
    let seen = ["proxy", "other", "plain"].map(|counter| packets(place, counter));
    assert_eq!(seen, [1, 0, 1], "SYNs with our option, and without");
    report
}

#[test]
fn a_socket_that_is_connected_again_elsewhere_takes_nothing_of_ours_along() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let place = watch(&stage, &pod, agent.port());
    let report = elsewhere(&stage, &pod, &place, "unspec");
    assert_eq!(report.earlier_peer, V4.parse().ok(), "{report:?}");
}

#[test]
fn a_socket_whose_connect_was_refused_takes_nothing_of_ours_elsewhere() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let place = watch(&stage, &pod, agent.port());
    let wall = format!(
        "table inet wall {{
           chain out {{
             type filter hook output priority 10
             tcp dport {} reject with tcp reset
           }}
         }}",
        agent.port()
    );
    firewall(&stage, &pod, &wall);
    elsewhere(&stage, &pod, &place, "refused-first");
}

#[test]
fn a_socket_that_is_connected_again_to_us_is_what_it_was_connected_to_last() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let proxy = proxy(&agent);
    for [first, last] in [[V4, &proxy], [&proxy, V4], [V4, V4]] {
        let again = ["unspec", "--to", first, "--other", last];
        let report = attempt(&stage, &pod.place(), &again);
        assert_role(&report, "cart");
        assert_eq!(report.earlier_peer, first.parse().ok(), "{report:?}");
        assert_eq!(report.peer, last.parse().ok(), "{report:?}");
    }
    assert_eq!(agent.kernel_counter("redirected").unwrap(), 4);
    assert_eq!(agent.kernel_counter("direct").unwrap(), 2);
}

#[test]
fn a_cgroup_that_is_named_like_another_pods_is_still_its_own_pods() {
    for driver in [Driver::Cgroupfs, Driver::Systemd] {
        let Some(stage) = stage_with(driver) else {
            return;
        };
        let [cart, till] = ["cart", "till"].map(|name| pod(&stage, name));
        let _agent = start(&stage, &[]);
        let name = till.cgroup().file_name().unwrap().to_str().unwrap();
        let report = attempt(&stage, &cart.place(), &["nested-cgroup", "--name", name]);
        assert_role(&report, "cart");
    }
}

#[test]
fn a_program_of_a_pods_own_cannot_undo_the_redirect() {
    let Some(stage) = stage() else { return };
    let pod = pod(&stage, "cart");
    let agent = start(&stage, &[]);
    let metadata = V4.parse().unwrap();
    for (at, sharing) in [Sharing::Exclusive, Sharing::Override, Sharing::Multi]
        .into_iter()
        .enumerate()
    {
        for elsewhere in ["10.77.0.9:99", &proxy(&agent)] {
            // A cgroup below the container's, where a container with the right to do so may attach what it likes.
            let cgroup = pod
                .place()
                .cgroup()
                .join(format!("own-{at}-{}", elsewhere.len()));
            std::fs::create_dir(&cgroup).unwrap();
            let own = Foreign::rewriting("own", elsewhere.parse().unwrap(), metadata).unwrap();
            own.attach(&cgroup, sharing).unwrap();
            let place = pod.place().with_cgroup(cgroup);
            let report = attempt(&stage, &place, &["direct", "--to", elsewhere]);
            assert_role(&report, "cart");
            assert_eq!(report.peer, Some(metadata.into()), "{sharing:?}");
        }
    }
    assert_eq!(agent.kernel_counter("redirected").unwrap(), 6);
    assert_eq!(agent.kernel_counter("direct").unwrap(), 0);
}
