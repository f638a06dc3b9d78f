//! STS that is slow, busy, out of order, gone, or says no; here with a pod alone, and below with many.
//!
//! However many pods have a trouble: those that have keys keep them and are answered at once, nobody gets another's,
//! and the log has one line that says what is wrong and what to do.

mod annotations;
mod callers;
mod node_keys;
mod scene;
mod sessions;
mod sts;
mod tokens;
mod trust;

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Effect, Fault, Rule};

use crate::{
    client::{INFO, ROLES},
    pod::Pod,
    wait::{HELD, leap, timed, until},
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const KEYS: &str = "/latest/meta-data/iam/security-credentials/a-role";

async fn status(world: &World) -> u16 {
    world.client(A).get(ROLES).await.status
}

/// Waits until pod A has keys, and checks whose.
async fn recovers(world: &World) {
    until(async || status(world).await, |status| *status == 200).await;
    let keys = world.client(A).keys("a-role").await;
    let issued = world.sts().issued(&keys.access_key_id).unwrap();
    assert_eq!(issued.role, format!("{BASE_ARN}a-role"));
}

fn slow(milliseconds: u64) -> Rule {
    Rule::always(Effect::Latency(Duration::from_millis(milliseconds)))
}

#[tokio::test]
async fn a_denied_role_is_no_role_and_others_notice_nothing() {
    let denied = Rule::error(Code::AccessDenied).for_role(format!("{BASE_ARN}a-role"));
    let setup = Setup::default().pod(A, "a-role").pod(B, "b-role");
    let world = setup.rule(denied).start().await;
    for _ in 0..5 {
        assert!(world.client(A).get(ROLES).await.is_absent());
    }
    let failure = world.client(A).get(KEYS).await;
    assert_eq!(failure.status, 200, "to EC2 it is a success");
    assert_eq!(failure.json()["Code"], "AssumeRoleUnauthorizedAccess");
    for secret in ["AccessKeyId", "SecretAccessKey", "Token", "Expiration"] {
        assert_eq!(failure.json().get(secret), None, "{failure:?}");
    }
    assert!(!failure.body.contains("node-role"), "{failure:?}");
    assert_eq!(world.client(A).get(INFO).await.status, 200);
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));

    assert_eq!(world.fetches("denied").await, 1);
    assert_eq!(world.refusals("denied").await, 6);
    let record = &world.log.records("request")[0];
    assert_eq!(record["outcome"], "denied");
    let error = record["error"].as_str().unwrap();
    assert!(
        error.contains("is not authorized to perform: sts:AssumeRole"),
        "{error}"
    );

    leap(Duration::from_secs(25)).await;
    world.probe().await;
    assert_eq!(world.calls("a-role"), 1, "a denial is final for a while");
    world.sts().rules().clear();
    leap(Duration::from_secs(35)).await;
    recovers(&world).await;
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let world = Setup::default()
        .pod(A, "a-role")
        .rule(slow(400))
        .start()
        .await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_503_first_and_served_later() {
    let world = Setup::default()
        .pod(A, "a-role")
        .rule(slow(2000))
        .start()
        .await;
    let client = world.client(A);
    let asking = async { tokio::join!(client.get(ROLES), client.get(KEYS)) };
    let ((list, keys), waited) = timed(asking).await;
    assert_eq!((list.seen(), keys.seen()), ((503, ""), (503, "")));
    assert!(HELD.contains(&waited), "{waited:?}");
    assert_eq!(world.refusals("fetching").await, 2);
    recovers(&world).await;
    assert_eq!(
        world.sts().calls().entries().len(),
        1,
        "asking again calls nobody"
    );
}

/// A call is given up after five seconds, and made again.
#[tokio::test]
async fn a_call_that_hangs_for_seconds_is_made_again() {
    let world = Setup::default()
        .pod(A, "a-role")
        .rule(slow(6000).times(1))
        .start()
        .await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (503, ""));
    recovers(&world).await;
}

#[tokio::test]
async fn throttling_passes_and_harms_nobody_who_has_keys() {
    let world = Setup::default().pod(B, "b-role").start().await;
    assert_eq!(world.client(B).get(ROLES).await.status, 200);
    let throttled = Rule::error(Code::Throttling).times(1);
    world.sts().rules().set(vec![throttled]);
    world.write_pod(A, Some("a-role"));
    let failures = async || world.fetches("throttled").await;
    until(failures, |failures| *failures == 1).await;
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));
    recovers(&world).await;
}

/// While STS is out of order the pod is told to come again; afterwards it is served without anybody's help.
async fn survives(fault: Fault) {
    let broken = Rule::always(Effect::Fault(fault));
    let world = Setup::default().pod(A, "a-role").rule(broken).start().await;
    let client = world.client(A);
    let (list, keys, info) = tokio::join!(client.get(ROLES), client.get(KEYS), client.get(INFO));
    assert_eq!((list.seen(), keys.seen()), ((503, ""), (503, "")));
    assert_eq!(info.status, 200, "this needs no keys");
    let failures = async || {
        if fault == Fault::Hang {
            leap(Duration::from_secs(1)).await;
        }
        world.fetches("unavailable").await
    };
    until(failures, |failures| *failures >= 1).await;
    assert_eq!(world.fetches("success").await, 0);
    let warning = world.log.wait_for("no new credentials").await;
    assert_eq!(warning["level"], "WARN");
    let error = warning["error"].as_str().unwrap();
    let said = format!("no answer from STS for {BASE_ARN}a-role: ");
    assert!(
        error.len() > said.len() && error.starts_with(&said),
        "{error}"
    );
    world.sts().rules().clear();
    // What hangs is given up, and the pause after a failure is over.
    leap(Duration::from_secs(3)).await;
    recovers(&world).await;
}

#[tokio::test]
async fn an_internal_failure_passes() {
    survives(Fault::Error(Code::InternalFailure)).await;
}

#[tokio::test]
async fn keys_of_the_node_that_sts_does_not_take_are_no_denial() {
    survives(Fault::Error(Code::InvalidClientTokenId)).await;
}

#[tokio::test]
async fn garbage_is_no_answer() {
    survives(Fault::Garbage).await;
}

#[tokio::test]
async fn half_an_answer_is_none() {
    survives(Fault::Cut).await;
}

#[tokio::test]
async fn a_closed_connection_is_no_answer() {
    survives(Fault::Close).await;
}

#[tokio::test]
async fn silence_is_no_answer() {
    survives(Fault::Hang).await;
}

#[tokio::test]
async fn keys_that_end_before_they_come_are_refused() {
    let short = Rule::always(Effect::Session(Duration::from_secs(10)));
    let world = Setup::default().pod(A, "a-role").rule(short).start().await;
    assert_eq!(world.client(A).get(KEYS).await.seen(), (503, ""));
    assert!(world.fetches("unavailable").await >= 1);
    assert_eq!(world.fetches("success").await, 0);
    let warning = world.log.wait_for("no new credentials").await;
    let error = warning["error"].as_str().unwrap();
    assert!(error.contains("and this node's clock says"), "{error}");
    world.sts().rules().clear();
    recovers(&world).await;
}

#[tokio::test]
async fn an_agent_that_starts_before_sts_waits_for_it() {
    let mut world = Setup::default()
        .pod(A, "a-role")
        .sts_is_down()
        .start()
        .await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (503, ""));
    assert_eq!(world.client(A).get(INFO).await.status, 200);
    assert_eq!(world.admin("/readyz").await.status, 200);
    let error = world.log.wait_for("no new credentials").await;
    let error = error["error"].as_str().unwrap();
    assert!(error.contains("refused"), "{error}");
    world.sts_host().start().await;
    recovers(&world).await;
}
