//! The agent ends while its DaemonSet is there, is going, or is gone: what it leaves on the node.
//!
//! One after the other: they all are about the one DaemonSet that the shipped rights name. Whatever becomes of it, that is
//! gone at the end, and the rights are as they were.

use std::{
    fs::File,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use bpf2iam_api::Cluster;
use bpf2iam_support::{
    Pod,
    process::Process,
    stage::{Agent, NODE_KEY},
};
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use serde_json::{Value, json};

use crate::scene::{LIST, ROLE, Scene, assert_role, wait_for_record};

/// Who is at the DaemonSet.
static DAEMON_SET: Mutex<()> = Mutex::new(());

/// The DaemonSet of the shipped manifests.
const HOME: &str = "bpf2iam/bpf2iam";

/// A DaemonSet whose pods belong on nodes with this label.
fn daemon_set(name: &str, label: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "namespace": "bpf2iam", "name": name },
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
    /// Before the agent starts.
    before: fn(&Scene),
    done: fn(&mut Scene, &Agent),
    stays: bool,
}

const fn case(what: &'static str, stays: bool, done: fn(&mut Scene, &Agent)) -> Case {
    Case {
        what,
        before: |_| {},
        done,
        stays,
    }
}

const CASES: [Case; 9] = [
    case("nothing happened", true, |_, _| {}),
    case("it is deleted in the background", false, |scene, _| {
        delete(scene, &[]);
    }),
    case(
        "it is being deleted, and waits for a finalizer as it does in the foreground",
        false,
        |scene, _| {
            let finalizers = r#"{"metadata":{"finalizers":["example.com/wait"]}}"#;
            to_daemon_set(&scene.cluster, "patch", &["-p", finalizers]).unwrap();
            delete(scene, &["--wait=false"]);
        },
    ),
    case(
        "the right to look is taken away, and then it is deleted",
        false,
        |scene, _| {
            unbind(scene);
            delete(scene, &[]);
        },
    ),
    Case {
        before: grow_old,
        ..case(
            "the same, of one that has been as it is for long",
            false,
            |scene, _| {
                unbind(scene);
                delete(scene, &[]);
            },
        )
    },
    case("it selects other nodes", false, |scene, _| {
        let elsewhere = daemon_set("bpf2iam", "elsewhere");
        scene.cluster.apply(&elsewhere).unwrap();
    }),
    case(
        "the node loses the label that it selects",
        false,
        |scene, _| {
            let node = scene.stage.node().name();
            kubectl(scene, &["label", "node", &node, "uninstall-test-"]);
        },
    ),
    case(
        "it is deleted and made anew, and then the API server is away",
        true,
        |scene, agent| {
            delete(scene, &["--cascade=orphan"]);
            scene.cluster.apply(&daemon_set("bpf2iam", "here")).unwrap();
            wait_for_record(agent.process(), |record| {
                record["message"] == "the agent's own DaemonSet is there again"
            });
            scene.line = None;
        },
    ),
    case(
        "it is deleted, but the API server is away",
        true,
        |scene, _| {
            scene.line = None;
            delete(scene, &[]);
        },
    ),
];

fn kubectl(scene: &Scene, args: &[&str]) {
    scene.cluster.kubectl(args).unwrap();
}

/// Does something to the DaemonSet.
fn to_daemon_set(cluster: &Cluster, verb: &str, args: &[&str]) -> Result<String> {
    let verb = ["-n", "bpf2iam", verb, "daemonset", "bpf2iam"];
    cluster.kubectl(&[&verb, args].concat())
}

fn delete(scene: &Scene, args: &[&str]) {
    to_daemon_set(&scene.cluster, "delete", args).unwrap();
}

fn unbind(scene: &Scene) {
    let binding = ["-n", "bpf2iam", "delete", "rolebinding", "bpf2iam"];
    kubectl(scene, &binding);
}

/// As somebody else's changes make the server forget it, sooner or later: nobody can watch from the version that the
/// DaemonSet has.
fn grow_old(scene: &Scene) {
    let version = scene
        .cluster
        .get(&["-n", "bpf2iam", "daemonset", "bpf2iam"]);
    let version = version.unwrap()["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    let watch = format!(
        "/apis/apps/v1/namespaces/bpf2iam/daemonsets?watch=1&timeoutSeconds=1&resourceVersion={version}"
    );
    scene
        .cluster
        .apply(&daemon_set("other", "nowhere"))
        .unwrap();
    let deadline = Instant::now() + OLD;
    for number in 0.. {
        if number % 50 == 0 && is_forgotten(scene, &watch) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{number} changes later it is known"
        );
        let annotation = format!("number={number}");
        let annotated = ["annotate", "--overwrite", "daemonset", "other", &annotation];
        kubectl(scene, &[&["-n", "bpf2iam"], &annotated[..]].concat());
    }
}

/// The server remembers what happened within 75 s, and some more where little does (its watch cache).
const OLD: Duration = Duration::from_mins(5);

fn is_forgotten(scene: &Scene, watch: &str) -> bool {
    let said = scene
        .cluster
        .get_raw(watch)
        .unwrap_or_else(|error| format!("{error:#}"));
    said.contains("too old resource version")
}

/// An agent on a node that the DaemonSet selects; it has seen it.
fn begin(scene: &Scene, case: &Case) -> Agent {
    let node = scene.stage.node().name();
    kubectl(
        scene,
        &["label", "node", &node, "uninstall-test=here", "--overwrite"],
    );
    scene.cluster.apply(&daemon_set("bpf2iam", "here")).unwrap();
    (case.before)(scene);
    let agent = scene.start(&ARGS);
    wait_until_it_watches(agent.process());
    agent
}

/// How agents are started.
const ARGS: [&str; 4] = ["--daemon-set", HOME, "--log-level", "debug"];

fn wait_until_it_watches(agent: &Process) {
    wait_for_record(agent, |record| {
        record["message"] == "watching the agent's own DaemonSet"
    });
}

/// Takes away what the cases do to the cluster, however they end.
struct Tidy(Cluster);

impl Drop for Tidy {
    fn drop(&mut self) {
        let finalizers = r#"{"metadata":{"finalizers":null}}"#;
        let other = [
            "-n",
            "bpf2iam",
            "delete",
            "daemonset",
            "other",
            "--ignore-not-found",
        ];
        let bind = [
            "-n",
            "bpf2iam",
            "create",
            "rolebinding",
            "bpf2iam",
            "--role=bpf2iam",
            "--serviceaccount=bpf2iam:bpf2iam",
        ];
        // Most of it is as it was already.
        let _gone = to_daemon_set(&self.0, "patch", &["-p", finalizers]).is_err();
        let _gone = to_daemon_set(&self.0, "delete", &["--ignore-not-found"]).is_err();
        let _gone = self.0.kubectl(&other).is_err();
        let _there = self.0.kubectl(&bind).is_err();
    }
}

/// The pod gets the keys of the node, which only the real service has.
fn is_exposed(scene: &Scene, pod: &Pod) -> bool {
    let keys = format!("{LIST}node-role");
    let client = scene.stage.client();
    let report = client.attempt(&pod.place(), &["get", &keys]).unwrap();
    report.body.is_some_and(|body| body.contains(NODE_KEY))
}

#[test]
fn the_node_is_as_before_once_the_daemon_set_has_no_place_for_the_agent() {
    let _alone = DAEMON_SET.lock().unwrap_or_else(PoisonError::into_inner);
    for case in CASES {
        let Some(mut scene) = Scene::set("uninstall") else {
            return;
        };
        let _tidy = Tidy(scene.cluster.clone());
        let agent = begin(&scene, &case);
        let pod = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
        assert_role(&scene.settled(&pod.place()), "cart");
        (case.done)(&mut scene, &agent);
        assert!(agent.stop().unwrap().success(), "{}", case.what);
        assert_eq!(scene.stage.pin_dir().exists(), case.stays, "{}", case.what);
        let report = scene.ask(&pod.place());
        let refused = report.error.as_deref() == Some("ECONNREFUSED");
        assert_eq!(refused, case.stays, "{}: {report:?}", case.what);
        assert_eq!(is_exposed(&scene, &pod), !case.stays, "{}", case.what);
    }
}

/// Nothing is left, and the agents ended well.
fn assert_gone(scene: &Scene, pod: &Pod, agents: impl IntoIterator<Item = Process>) {
    for mut agent in agents {
        assert!(agent.wait(END).unwrap().success(), "{:#?}", agent.lines());
    }
    assert!(!scene.stage.pin_dir().exists());
    assert!(is_exposed(scene, pod));
}

/// As long as a kubelet waits.
const END: Duration = Duration::from_secs(30);

#[test]
fn an_uninstall_in_the_middle_of_a_rollout_is_finished_by_whoever_ends_last() {
    let _alone = DAEMON_SET.lock().unwrap_or_else(PoisonError::into_inner);
    for old_first in [true, false] {
        let Some(scene) = Scene::set("rollout") else {
            return;
        };
        let _tidy = Tidy(scene.cluster.clone());
        let old = begin(&scene, &case("a rollout", false, |_, _| {})).into_process();
        let pod = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
        assert_role(&scene.settled(&pod.place()), "cart");
        // It does not get what it needs to take over.
        let hang = json!([{ "do": { "fault": "hang" } }]);
        scene.stage.set_sts_rules(&hang).unwrap();
        let new = scene.spawn(&ARGS);
        wait_for_record(&new, |record| {
            record["message"] == "the pods of this node are known"
        });
        delete(&scene, &[]);
        let agents = if old_first { [old, new] } else { [new, old] };
        for agent in &agents {
            agent.signal(Signal::TERM).unwrap();
            thread::sleep(Duration::from_millis(300));
        }
        assert_gone(&scene, &pod, agents);
    }
}

#[test]
fn an_agent_that_has_not_begun_takes_away_what_a_dead_one_has_left() {
    let _alone = DAEMON_SET.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(scene) = Scene::set("begin") else {
        return;
    };
    let _tidy = Tidy(scene.cluster.clone());
    let old = begin(&scene, &case("a crash", false, |_, _| {}));
    let pod = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
    assert_role(&scene.settled(&pod.place()), "cart");
    old.end(Signal::KILL).unwrap();
    // Somebody else seems to start.
    let lock = File::open(scene.stage.pin_dir()).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let new = scene.spawn(&ARGS);
    wait_until_it_watches(&new);
    delete(&scene, &[]);
    new.signal(Signal::TERM).unwrap();
    thread::sleep(Duration::from_secs(1));
    drop(lock);
    assert_gone(&scene, &pod, [new]);
}
