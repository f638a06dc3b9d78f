//! Nobody gets the node's own credentials: they are to be had while there is no agent, and never with it. The first shows
//! that this test can fail. What is when the agent ends is in `lifetime`.

use bpf2iam_support::{Pod, pod::Spec};

use crate::scene::{NODE_KEYS, attempt, get, host_pod, leaks, pod, stage, start};

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
