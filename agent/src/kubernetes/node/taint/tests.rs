use tokio::time::Instant;

use crate::{
    kubernetes::node::tests::{Said, refused, server},
    telemetry::testing::Logged,
};

use super::*;

fn taint(key: &str, effect: &str) -> Value {
    json!({"key": key, "effect": effect})
}

fn with_taints(taints: &[Value]) -> Said {
    Said::Answer(
        200,
        json!({"metadata": {"name": "node-1"}, "spec": {"taints": taints}}),
    )
}

fn tainted() -> Said {
    with_taints(&[taint(KEY, "NoSchedule")])
}

fn clean() -> Said {
    Said::Answer(200, json!({"metadata": {"name": "node-1"}, "spec": {}}))
}

fn changed(code: u16, reason: &str) -> Said {
    refused(code, reason, "somebody was faster")
}

/// What a day with a server that says this leaves: the counters, and when it was asked.
async fn day(script: Vec<Said>) -> (Metrics, Vec<Duration>) {
    let (client, asked) = server(script);
    let metrics = Metrics::new();
    let remover = Remover::new(client, "node-1", metrics.clone());
    let (signal, drain) = drain::channel();
    let begun = Instant::now();
    let task = tokio::spawn(remover.run(Readiness::new(), drain));
    time::sleep(Duration::from_hours(24)).await;
    assert!(signal.drain(Duration::from_secs(1)).await);
    task.await.unwrap();
    let asked = asked.lock().unwrap().clone();
    let times = asked.into_iter().map(|(when, path)| {
        assert_eq!(path, "/api/v1/nodes/node-1");
        when - begun
    });
    (metrics, times.collect())
}

fn counts(metrics: &Metrics) -> [u64; 3] {
    [Outcome::Removed, Outcome::Clean, Outcome::Failed].map(|outcome| metrics.count(outcome))
}

#[test]
fn only_our_taint_is_removed_whatever_its_effect_and_where_it_is_tested_for() {
    let other = taint("node.kubernetes.io/not-ready", "NoExecute");
    let ours = taint(KEY, "NoSchedule");
    let mut evicts = taint(KEY, "NoExecute");
    evicts["timeAdded"] = "2026-01-01T00:00:00Z".into();
    assert_eq!(patch(&[]), None);
    assert_eq!(patch(std::slice::from_ref(&other)), None);
    assert_eq!(patch(&[taint("bpf2iam.io/agent-not-ready2", "")]), None);
    let steps = patch(&[ours.clone(), other, evicts.clone()]).unwrap();
    assert_eq!(
        steps,
        json!([
            {"op": "test", "path": "/spec/taints/2", "value": evicts},
            {"op": "remove", "path": "/spec/taints/2"},
            {"op": "test", "path": "/spec/taints/0", "value": ours},
            {"op": "remove", "path": "/spec/taints/0"},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_away_once_the_agent_is_ready_and_not_before() {
    let (logged, _listens) = Logged::listen();
    let (client, asked) = server(vec![tainted(), clean()]);
    let readiness = Readiness::new();
    let pending = readiness.guard("a connection of its own");
    let remover = Remover::new(client, "node-1", Metrics::new());
    let (_signal, drain) = drain::channel();
    tokio::spawn(remover.run(readiness, drain));
    time::sleep(Duration::from_hours(1)).await;
    assert!(asked.lock().unwrap().is_empty());
    drop(pending);
    time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked.lock().unwrap().len(), 2);
    assert_eq!(logged.lines("took the startup taint away").len(), 1);
    assert!(logged.lines("WARN").is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_was_faster_loses_nothing_and_the_node_is_read_anew() {
    let script = vec![
        tainted(),
        changed(422, ""),
        tainted(),
        changed(409, "Conflict"),
        tainted(),
        clean(),
    ];
    let (metrics, asked) = day(script).await;
    assert_eq!(asked[..6], [Duration::ZERO; 6]);
    assert_eq!(metrics.count(Outcome::Removed), 1);
    assert_eq!(metrics.count(Outcome::Failed), 0);
}

#[tokio::test(start_paused = true)]
async fn who_is_always_faster_is_no_reason_to_ask_all_the_time() {
    let (logged, _listens) = Logged::listen();
    let mut script: Vec<_> = (0..8)
        .flat_map(|_| [tainted(), changed(422, "Invalid")])
        .collect();
    script.extend([tainted(), clean()]);
    let (metrics, asked) = day(script).await;
    assert!(asked[10] > Duration::ZERO, "{asked:?}");
    let [removed, _, failed] = counts(&metrics);
    assert_eq!((removed, failed), (1, 1));
    assert_eq!(logged.lines("somebody was faster").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_refuses_is_named_and_not_asked_again_at_once() {
    for (code, reason) in [(422, "Invalid"), (403, "Forbidden")] {
        let (logged, _listens) = Logged::listen();
        let said = "ValidatingAdmissionPolicy 'taints' denied request: no";
        let script = vec![tainted(), refused(code, reason, said), tainted(), clean()];
        let (metrics, asked) = day(script).await;
        assert!(asked[2] > Duration::ZERO, "{asked:?}");
        let [removed, _, failed] = counts(&metrics);
        assert_eq!((removed, failed), (1, 1));
        let warnings = logged.lines("WARN");
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("'taints' denied"), "{warnings:?}");
        assert!(!warnings[0].contains("may not patch"), "{warnings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_without_it_is_looked_at_seldom_and_not_changed() {
    let (metrics, asked) = day(vec![clean()]).await;
    assert!((144..=288).contains(&asked.len()), "{}", asked.len());
    let all = u64::try_from(asked.len()).unwrap();
    assert_eq!(counts(&metrics), [0, all, 0]);
    let (metrics, _) = day(vec![tainted(), clean(), clean(), tainted(), clean()]).await;
    assert_eq!(metrics.count(Outcome::Removed), 2);
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_said_once_and_counted_and_it_is_tried_again() {
    let (logged, _listens) = Logged::listen();
    let forbidden = || refused(403, "Forbidden", "nodes is forbidden");
    let script = vec![
        tainted(),
        forbidden(),
        tainted(),
        forbidden(),
        refused(500, "InternalError", "etcd"),
        Said::Nothing,
        Said::Answer(200, json!(7)),
        tainted(),
        clean(),
    ];
    let (metrics, asked) = day(script).await;
    for (text, count) in [
        ("may not patch nodes, which --startup-taint needs", 1),
        ("InternalError: etcd", 1),
        ("nothing within 5s", 1),
        ("the answer is no node", 1),
        ("WARN", 4),
        ("cannot take the startup taint from this node", 4),
        ("took the startup taint away", 1),
        ("tells of this node again failures=5", 1),
    ] {
        assert_eq!(logged.lines(text).len(), count, "{text}");
    }
    let [removed, _, failed] = counts(&metrics);
    assert_eq!((removed, failed), (1, 5));
    assert!(asked[8] < Duration::from_mins(3), "{asked:?}");
}
