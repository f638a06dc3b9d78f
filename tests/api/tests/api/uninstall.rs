//! The agent ends while its DaemonSet is there, is going, or is gone: what it leaves on the node.
//!
//! One test, one after the other: they all are about the one DaemonSet that the shipped rights name.

use anyhow::Result;
use bpf2iam_support::stage::Agent;
use serde_json::{Value, json};

use crate::scene::{ROLE, Scene, assert_role, wait_for_record};

/// The DaemonSet of the shipped manifests.
const HOME: &str = "bpf2iam/bpf2iam";

/// A DaemonSet whose pods belong on nodes with this label.
fn daemon_set(label: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "namespace": "bpf2iam", "name": "bpf2iam" },
        "spec": {
            "selector": { "matchLabels": { "app": "bpf2iam" } },
            "template": {
                "metadata": { "labels": { "app": "bpf2iam" } },
                "spec": {
                    "nodeSelector": { "uninstall-test": label },
                    "containers": [{ "name": "agent", "image": "none" }],
                },
            },
        },
    })
}

/// What somebody does to it, and what is to be on the node when the agent has ended.
struct Case {
    what: &'static str,
    done: fn(&mut Scene),
    stays: bool,
}

fn kubectl(scene: &Scene, args: &[&str]) {
    scene.cluster.kubectl(args).unwrap();
}

/// Does something to the DaemonSet.
fn to_daemon_set(scene: &Scene, verb: &str, args: &[&str]) -> Result<String> {
    let verb = ["-n", "bpf2iam", verb, "daemonset", "bpf2iam"];
    scene.cluster.kubectl(&[&verb, args].concat())
}

fn delete(scene: &Scene, args: &[&str]) {
    to_daemon_set(scene, "delete", args).unwrap();
}

const CASES: [Case; 7] = [
    Case {
        what: "nothing happened",
        done: |_| {},
        stays: true,
    },
    Case {
        what: "it is deleted in the background",
        done: |scene| delete(scene, &[]),
        stays: false,
    },
    Case {
        what: "it is being deleted, and waits for a finalizer as it does in the foreground",
        done: |scene| {
            let finalizers = r#"{"metadata":{"finalizers":["example.com/wait"]}}"#;
            to_daemon_set(scene, "patch", &["-p", finalizers]).unwrap();
            delete(scene, &["--wait=false"]);
        },
        stays: false,
    },
    Case {
        what: "the right to look is taken away, and then it is deleted",
        done: |scene| {
            kubectl(
                scene,
                &["-n", "bpf2iam", "delete", "rolebinding", "bpf2iam"],
            );
            delete(scene, &[]);
        },
        stays: false,
    },
    Case {
        what: "it selects other nodes",
        done: |scene| scene.cluster.apply(&daemon_set("elsewhere")).unwrap(),
        stays: false,
    },
    Case {
        what: "the node loses the label that it selects",
        done: |scene| {
            let node = scene.stage.node().name();
            kubectl(scene, &["label", "node", &node, "uninstall-test-"]);
        },
        stays: false,
    },
    Case {
        what: "it is deleted, but the API server is away",
        done: |scene| {
            scene.line = None;
            delete(scene, &[]);
        },
        stays: true,
    },
];

/// An agent on a node that the DaemonSet selects; it has seen it.
fn begin(scene: &Scene) -> Agent {
    let node = scene.stage.node().name();
    kubectl(
        scene,
        &["label", "node", &node, "uninstall-test=here", "--overwrite"],
    );
    scene.cluster.apply(&daemon_set("here")).unwrap();
    let agent = scene.start(&["--daemon-set", HOME, "--log-level", "debug"]);
    wait_for_record(agent.process(), |record| {
        record["message"] == "the agent's own DaemonSet is there"
    });
    agent
}

fn tidy(scene: &Scene) {
    let finalizers = r#"{"metadata":{"finalizers":null}}"#;
    // Most have been deleted already.
    let _gone = to_daemon_set(scene, "patch", &["-p", finalizers]).is_err();
    delete(scene, &["--ignore-not-found"]);
    let role = "--role=bpf2iam";
    let account = "--serviceaccount=bpf2iam:bpf2iam";
    let bind = [
        "-n",
        "bpf2iam",
        "create",
        "rolebinding",
        "bpf2iam",
        role,
        account,
    ];
    // In most cases it is still there.
    let _there = scene.cluster.kubectl(&bind).is_err();
}

#[test]
fn the_node_is_as_before_once_the_daemon_set_has_no_place_for_the_agent() {
    for case in CASES {
        let Some(mut scene) = Scene::set("uninstall") else {
            return;
        };
        let agent = begin(&scene);
        let pod = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
        assert_role(&scene.settled(&pod.place()), "cart");
        (case.done)(&mut scene);
        assert!(agent.stop().unwrap().success(), "{}", case.what);
        assert_eq!(scene.stage.pin_dir().exists(), case.stays, "{}", case.what);
        let report = scene.ask(&pod.place());
        let refused = report.error.as_deref() == Some("ECONNREFUSED");
        assert_eq!(refused, case.stays, "{}: {report:?}", case.what);
        tidy(&scene);
    }
}
