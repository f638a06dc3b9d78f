//! Nobody gets the node's own credentials: they are to be had while there is no agent, never with it, and again when it
//! has gone, with nothing left behind. The first and the last show that this test can fail.

use bpf2iam_kernel::{bpftool, objects::Objects};
use bpf2iam_support::{Place, Pod, pod::Spec, stage::Stage};
use rustix::process::Signal;

use crate::scene::{NODE_KEYS, assert_role, attempt, get, host_pod, leaks, pod, stage, start};

/// Where the stand-in shows something that is the node's own, in the spellings that it takes.
const SECRETS: [&str; 14] = [
    NODE_KEYS,
    "/latest/meta-data/iam/security-credentials/node-role/",
    "/1.0/meta-data/iam/security-credentials/node-role",
    "//latest//meta-data//iam//security-credentials//node-role",
    "/latest/meta-data/iam/./security-credentials/node-role",
    "/latest/meta-data/iam/security-credentials/%6eode-role",
    "/latest/meta-data/identity-credentials/ec2/security-credentials/ec2-instance",
    "/latest/meta-data/public-keys/0/openssh-key",
    "/latest/dynamic/instance-identity/pkcs7",
    "/latest/dynamic/instance-identity/rsa2048",
    "/latest/dynamic/instance-identity/signature",
    "/latest/user-data",
    "/2021-03-23/user-data",
    "/latest/meta-data/../user-data",
];

/// Attempts that end at the metadata service where nothing stops them.
const WAYS: [&str; 12] = [
    "connect",
    "nonblocking",
    "mapped",
    "ipv6",
    "mptcp",
    "mptcp-mapped",
    "fastopen-sendto",
    "fastopen-connect",
    "mptcp-fastopen",
    "uring",
    "uring-sqpoll",
    "uring-async",
];

/// Whether the node's keys are to be had from `place`, by a plain call and by a token.
fn exposed(stage: &Stage, place: &Place) -> [bool; 2] {
    [&["get", NODE_KEYS][..], &["get", NODE_KEYS, "--token"]]
        .map(|args| leaks(&attempt(stage, place, args)))
}

#[test]
fn the_nodes_secrets_are_to_be_had_without_the_agent_and_not_with_it() {
    let Some(stage) = stage() else { return };
    let pods = [
        pod(&stage, "cart"),
        host_pod(&stage, "log"),
        stage.add_pod(Spec::new("shop", "plain")).unwrap(),
    ];
    let places = pods.each_ref().map(Pod::place);
    for place in &places {
        for path in SECRETS {
            let report = get(&stage, place, path);
            assert!(leaks(&report), "{path} has nothing to protect: {report:?}");
        }
    }
    let _agent = start(&stage, &[]);
    for place in &places {
        for path in SECRETS {
            for args in [&["get", path][..], &["get", path, "--token"]] {
                let report = attempt(&stage, place, args);
                assert_eq!(report.status, Some(404), "{args:?}: {report:?}");
                assert!(!leaks(&report), "{args:?}: {report:?}");
            }
        }
    }
}

#[test]
fn no_way_to_connect_leads_to_the_nodes_keys_when_the_agent_is_there() {
    let Some(stage) = stage() else { return };
    let pods = [pod(&stage, "cart"), host_pod(&stage, "log")];
    let try_all = |expected: bool| {
        for pod in &pods {
            for way in WAYS {
                let report = attempt(&stage, &pod.place(), &[way, "--path", NODE_KEYS]);
                if report.was_made() {
                    assert_eq!(leaks(&report), expected, "{report:?}");
                }
            }
        }
    };
    try_all(true);
    let _agent = start(&stage, &[]);
    try_all(false);
}

#[test]
fn an_agent_that_ends_leaves_nothing_behind_however_it_ends() {
    let Some(stage) = stage() else { return };
    let [cart, log] = [pod(&stage, "cart"), host_pod(&stage, "log")];
    for signal in [Signal::TERM, Signal::KILL] {
        let agent = start(&stage, &[]);
        let objects = Objects::of(&agent).unwrap();
        let [programs, links, maps] = objects.count();
        assert_eq!((programs, links), (8, 8), "{objects:?}");
        assert!(maps >= 5, "{objects:?}");
        assert_eq!(
            bpftool::attached(&stage.node().kubepods()).unwrap().len(),
            8
        );
        for pod in [&cart, &log] {
            assert_eq!(exposed(&stage, &pod.place()), [false; 2], "{signal:?}");
        }

        let ended = agent.end(signal).unwrap();
        assert_eq!(ended.success(), signal == Signal::TERM, "{ended}");
        objects.wait_until_gone().unwrap();
        assert_eq!(bpftool::attached(&stage.node().kubepods()).unwrap(), []);
        for pod in [&cart, &log] {
            assert_eq!(exposed(&stage, &pod.place()), [true; 2], "{signal:?}");
        }
    }
}

#[test]
fn an_agent_that_starts_again_takes_over_where_the_killed_one_was() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    for _ in 0..3 {
        // The socket's file and the links of the one before are no obstacle.
        let agent = start(&stage, &[]);
        assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
        agent.end(Signal::KILL).unwrap();
    }
}
