//! What `kubectl describe pod` says of pods that do not get their role.

use std::time::Duration;

use bpf2iam_standins::{
    apiserver::{self, Kind},
    sts::{Code, Rule},
};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::{leap, until},
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const ALLOWED: &str = "iam.amazonaws.com/allowed-roles";

/// In what STS says as it refuses a role: who asked.
const WHO: &str = "assumed-role/node-role/i-";

/// The pods' namespace, which allows these roles.
fn namespace(allowed: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "annotations": {ALLOWED: allowed}},
    })
}

fn cluster(allowed: &str, role: &str) -> Setup {
    Setup::default()
        .cluster([namespace(allowed), A.manifest(Some(role))])
        .arg("--namespace-restrictions")
}

/// The Events, as soon as there are so many.
async fn events(world: &World, number: usize) -> Vec<Value> {
    let events = async || world.api().objects(Kind::Event);
    until(events, |events| events.len() == number).await
}

async fn outcome(world: &World, outcome: &str) -> u64 {
    world.metric("events_total", &[("outcome", outcome)]).await
}

/// It is about pod A, from us, and has this note.
fn assert_about(event: &Value, reason: &str, note: &[&str]) {
    assert_eq!(event["reason"], reason, "{event}");
    assert_eq!(event["regarding"]["kind"], "Pod");
    assert_eq!(event["regarding"]["name"], A.name());
    assert_eq!(event["regarding"]["namespace"], NAMESPACE);
    assert_eq!(event["regarding"]["uid"], A.uid());
    assert_eq!(event["reportingController"], "bpf2iam.io/agent");
    assert_eq!(event["reportingInstance"], "node-1");
    assert_eq!(event["type"], "Warning");
    let said = event["note"].as_str().unwrap();
    for part in note {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test]
async fn a_role_that_the_namespace_forbids_is_told_once() {
    let world = cluster("[\"other\"]", "a-role").start().await;
    for _ in 0..5 {
        assert!(world.client(A).get(ROLES).await.is_absent());
    }
    let arn = format!("{BASE_ARN}a-role");
    assert_about(
        &events(&world, 1).await[0],
        "RoleForbidden",
        &[&arn, ALLOWED, NAMESPACE],
    );
    until(async || outcome(&world, "sent").await, |sent| *sent == 1).await;
    assert_eq!(
        world.metric("bindings", &[("result", "forbidden")]).await,
        1
    );
    let record = world.log.wait_for("a pod does not get its role").await;
    assert_eq!(record["pod"], A.full_name());
    assert_eq!(record["reason"], "RoleForbidden");
}

#[tokio::test]
async fn what_is_wrong_in_an_annotation_is_told_and_what_it_was_changed_to() {
    let world = cluster("broken", "a-role").start().await;
    let first = events(&world, 1).await.remove(0);
    assert_about(
        &first,
        "InvalidAnnotation",
        &[ALLOWED, "JSON", "\"broken\""],
    );
    world.api().put(A.manifest(Some("two words"))).unwrap();
    let mut both = events(&world, 2).await;
    both.retain(|event| *event != first);
    assert_about(
        &both[0],
        "InvalidAnnotation",
        &["iam.amazonaws.com/role", "two words"],
    );

    world.api().put(A.manifest(Some("a-role"))).unwrap();
    world.api().put(namespace("[\"a-role\"]")).unwrap();
    let list = async || world.client(A).get(ROLES).await.status;
    until(list, |status| *status == 200).await;
    assert_eq!(world.metric("bindings", &[("result", "bound")]).await, 1);
    assert_eq!(events(&world, 2).await.len(), 2);
}

#[tokio::test]
async fn a_role_that_sts_refuses_is_told_and_counted_up_while_it_lasts() {
    let setup = cluster("[\"*\"]", "a-role").rule(Rule::error(Code::AccessDenied));
    let world = setup.start().await;
    until(async || world.fetches("denied").await, |count| *count > 0).await;
    leap(Duration::from_secs(6)).await;
    let first = events(&world, 1).await.remove(0);
    assert_about(
        &first,
        "RoleRefusedBySTS",
        &[
            "AccessDenied",
            "trust policy",
            "sts:AssumeRole",
            "the node's role",
        ],
    );
    // STS's own words are in the log only.
    let error = world.log.records("no new credentials")[0]["error"].to_string();
    assert!(error.contains(WHO), "{error}");
    let note = first["note"].as_str().unwrap();
    assert!(!note.contains(WHO), "{note}");
    assert_eq!(first["series"], Value::Null);
    for count in [2, 3] {
        leap(Duration::from_mins(11)).await;
        let counted = async || {
            leap(Duration::from_secs(1)).await;
            events(&world, 1).await[0]["series"]["count"].as_u64()
        };
        until(counted, |seen| *seen == Some(count)).await;
    }
}

#[tokio::test]
async fn pods_are_served_where_nobody_takes_events() {
    let world = cluster("[\"other\"]", "a-role");
    let world = world.cluster([B.manifest(Some("other"))]).start().await;
    let no_events = apiserver::Rule::status(403).for_path("/apis/events.k8s.io/*");
    world.api().rules().add(no_events);
    for role in ["x", "y", "z"] {
        world.api().put(A.manifest(Some(role))).unwrap();
        let failed = async || outcome(&world, "failed").await;
        let before = failed().await;
        until(failed, |failed| *failed > before).await;
        assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "other"));
    }
    let said = world
        .log
        .records("an Event was not written, nor may be further ones");
    assert_eq!(said.len(), 1, "{said:?}");
    let error = said[0]["error"].as_str().unwrap();
    assert!(
        error.contains("may not create and patch events.events.k8s.io"),
        "{error}"
    );
}
