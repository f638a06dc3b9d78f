//! What a successor must have before an agent that serves hands over to it: the list of pods, and keys.

use std::{thread, time::Duration};

use bpf2iam_support::{
    process::Process,
    stage::{Agent, BASE_ARN, Stage},
};
use rustix::process::Signal;
use serde_json::json;

use crate::scene::{
    DISPLACED, assert_role, attempt, pod, stage, start, wait_for_record, wait_until_served,
};

/// What a successor says that waits.
const WAITS: &str =
    "not taking over yet: the agent before us goes on serving until we have what it has";
/// Longer than keys are waited for where there are any.
const LATE: Duration = Duration::from_secs(12);

fn successor(stage: &Stage, args: &[&str]) -> Process {
    Process::spawn("bpf2iam", stage.agent(args).unwrap()).unwrap()
}

#[test]
fn one_that_does_not_know_the_pods_takes_over_only_from_a_dead_one() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &[]);
    // Nobody listens there.
    let api = ["--pods", "kube", "--api-server", "http://127.0.0.1:9"];
    let next = successor(&stage, &api);
    wait_for_record(&next, WAITS, |record| record["what"] == "the list of pods");
    assert!(old.logged(DISPLACED).is_empty());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    old.end(Signal::KILL).unwrap();
    // The door is open, though nobody knows whose pod it is.
    wait_for_record(&next, "attached", |_| true);
    let report = attempt(&stage, &cart.place(), &["connect"]);
    assert!(report.connected && report.status != Some(200), "{report:?}");
}

/// The pods alone do not say who they are: their roles may come from ServiceAccounts.
#[test]
fn one_that_may_not_list_the_service_accounts_does_not_know_the_pods() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &[]);
    let forbidden = r#"{"path":"*serviceaccounts*","do":{"status":{"code":403}}}"#;
    let program = stage.programs().sts.with_file_name("apiserver-standin");
    let mut api = stage.node().host().command(program).unwrap();
    api.args(["--listen", "127.0.0.1:6443", "--rule", forbidden]);
    let _api = Process::spawn("apiserver-standin", api).unwrap();
    let next = successor(
        &stage,
        &["--pods", "kube", "--api-server", "http://127.0.0.1:6443"],
    );
    wait_for_record(&next, WAITS, |record| record["what"] == "the list of pods");
    thread::sleep(LATE);
    assert!(old.logged(DISPLACED).is_empty());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    let refused = |line: &String| line.contains("serviceaccounts is forbidden");
    assert!(next.lines().iter().any(refused), "{:#?}", next.lines());
}

/// Under a wrong name there are no pods, and nothing fails.
#[test]
fn one_whose_node_kubernetes_does_not_know_takes_nothing_over() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &[]);
    let program = stage.programs().sts.with_file_name("apiserver-standin");
    let mut api = stage.node().host().command(program).unwrap();
    api.args(["--listen", "127.0.0.1:6443"]);
    let api = Process::spawn("apiserver-standin", api).unwrap();
    api.wait_for_line(|line| line.contains("ready"), LATE)
        .unwrap();
    let next = successor(
        &stage,
        &["--pods", "kube", "--api-server", "http://127.0.0.1:6443"],
    );
    wait_for_record(&next, WAITS, |record| {
        record["what"] == "this node to be known to Kubernetes"
    });
    assert!(old.logged(DISPLACED).is_empty());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    let unknown = |line: &String| line.contains("--node-name has to be its name in Kubernetes");
    assert!(next.lines().iter().any(unknown), "{:#?}", next.lines());
}

#[test]
fn one_that_has_no_keys_waits_for_them_as_long_as_nobody_gets_any() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let old = start(&stage, &[]);
    stage
        .set_sts_rules(&json!([{ "do": { "fault": "hang" } }]))
        .unwrap();
    let next = successor(&stage, &[]);
    wait_for_record(&next, WAITS, |record| record["what"] == "keys for any pod");
    thread::sleep(LATE);
    assert!(old.logged(DISPLACED).is_empty());
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    stage.set_sts_rules(&json!([])).unwrap();
    wait_for_record(old.process(), DISPLACED, |_| true);
    let next = Agent::ready(next, &stage).unwrap();
    assert_role(&attempt(&stage, &cart.place(), &["connect"]), "cart");
    drop(next);
}

#[test]
fn one_is_not_kept_by_the_pod_whose_role_is_wrong() {
    let Some(stage) = stage() else { return };
    let cart = pod(&stage, "cart");
    let role = format!("{BASE_ARN}wrong");
    let denied = json!([{ "role": role, "do": { "fault": { "error": "AccessDenied" } } }]);
    stage.set_sts_rules(&denied).unwrap();
    let wrong = pod(&stage, "wrong");
    let old = stage.start_agent(&[]).unwrap();
    wait_until_served(&stage, &cart);
    let _next = successor(&stage, &[]);
    wait_for_record(old.process(), DISPLACED, |_| true);
    wait_until_served(&stage, &cart);
    drop(wrong);
}
