//! Keys from their first fetch to their end.

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Effect, Rule};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::{
    client::{Client, Keys, ROLES},
    pod::Pod,
    wait::{leap, soon, until},
    world::{BASE_ARN, Setup},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const C: Pod = Pod::new(3);

/// Of a session of one hour, its first.
const BEFORE_REFRESH: Duration = Duration::from_secs(1070);
const HALF_LIFE: Duration = Duration::from_mins(30);

#[tokio::test]
async fn keys_are_there_before_anybody_asks() {
    let world = Setup::default()
        .pod(A, "a-role")
        .pod(B, "b-role")
        .start()
        .await;
    soon(world.sts().calls().wait_for(|calls| calls.len() == 2)).await;
    world.log.wait_for("credentials obtained").await;
    assert!(world.log.records("request").is_empty());
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert_eq!((world.calls("a-role"), world.calls("b-role")), (1, 1));
}

/// The keys of the role `shared`, as a client gets them that asks again after 503.
async fn shared_keys(client: Client) -> Keys {
    loop {
        let answer = client.get(&format!("{ROLES}shared")).await;
        if answer.status != 503 {
            return answer.keys();
        }
    }
}

#[tokio::test]
async fn one_call_is_for_all_pods_of_a_session_and_all_who_ask_at_a_time() {
    let slow = Rule::always(Effect::Latency(Duration::from_millis(300)));
    let pods = [A, B, C];
    let setup = pods
        .into_iter()
        .fold(Setup::default().rule(slow), |setup, pod| {
            setup.pod(pod, "shared")
        });
    // Otherwise each pod has a session of its own.
    let world = setup.arg("--session-name={node}").start().await;
    let mut asking = JoinSet::new();
    for number in 0..50 {
        let client = world.client(pods[number % pods.len()]);
        asking.spawn(soon(shared_keys(client)));
    }
    let keys = asking.join_all().await;
    assert!(keys.iter().all(|one| *one == keys[0]), "{keys:?}");
    assert_eq!(world.calls("shared"), 1);
    assert_eq!(world.fetches("success").await, 1);
    let labels = [("route", "role_credentials"), ("status", "200")];
    assert_eq!(world.metric("imds_requests_total", &labels).await, 50);
}

#[tokio::test]
async fn whoever_stops_waiting_does_not_take_the_call_down_with_him() {
    let slow = Rule::always(Effect::Latency(Duration::from_millis(300)));
    let world = Setup::default().pod(A, "a-role").rule(slow).start().await;
    for _ in 0..10 {
        let stream = world.client(A).connect().await.unwrap();
        let request = format!("GET {ROLES} HTTP/1.1\r\n\r\n");
        stream.writable().await.unwrap();
        assert_eq!(stream.try_write(request.as_bytes()).unwrap(), request.len());
    }
    let list = async || world.client(A).get(ROLES).await.status;
    until(list, |status| *status == 200).await;
    assert_eq!(world.calls("a-role"), 1);
}

#[tokio::test]
async fn keys_are_renewed_at_half_of_their_life_and_not_before() {
    let world = Setup::default().pod(A, "a-role").start().await;
    let first = world.client(A).keys("a-role").await;
    leap(BEFORE_REFRESH).await;
    world.probe().await;
    assert_eq!(world.calls("a-role"), 1);
    assert_eq!(world.client(A).keys("a-role").await, first);

    leap(HALF_LIFE.saturating_sub(BEFORE_REFRESH)).await;
    let keys = async || world.client(A).keys("a-role").await;
    let second = until(keys, |keys| *keys != first).await;
    assert!(second.expiration >= first.expiration);
    assert_eq!(world.calls("a-role"), 2);
    world.log.wait_for("credentials renewed").await;
}

#[tokio::test]
async fn keys_are_served_while_sts_is_down_and_renewed_when_it_is_back() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    let first = world.client(A).keys("a-role").await;
    world.sts_host().stop().await;
    leap(HALF_LIFE).await;
    let failures = async || world.fetches("unavailable").await;
    until(failures, |failures| *failures >= 1).await;
    assert_eq!(world.client(A).keys("a-role").await, first);
    // What may pass is no news before it has lasted a minute.
    assert!(world.log.warnings().is_empty());
    let warnings = async || {
        leap(Duration::from_secs(20)).await;
        world.log.warnings()
    };
    let warnings = until(warnings, |warnings| !warnings.is_empty()).await;
    assert_eq!(warnings[0]["message"], "no new credentials");
    assert_eq!(warnings[0]["role"], format!("{BASE_ARN}a-role"));
    assert_eq!(world.client(A).keys("a-role").await, first);

    world.sts_host().start().await;
    let keys = async || {
        leap(Duration::from_secs(5)).await;
        world.client(A).keys("a-role").await
    };
    let second = until(keys, |keys| *keys != first).await;
    assert!(world.sts().issued(&second.access_key_id).is_some());
}

#[tokio::test]
async fn keys_are_withdrawn_before_they_end() {
    let mut world = Setup::default().pod(A, "a-role").start().await;
    world.client(A).keys("a-role").await;
    world.sts_host().stop().await;
    leap(Duration::from_mins(59)).await;
    assert_eq!(world.client(A).get(ROLES).await.status, 200);
    leap(Duration::from_secs(41)).await;
    for path in [ROLES, "/latest/meta-data/iam/security-credentials/a-role"] {
        assert_eq!(world.client(A).get(path).await.seen(), (503, ""), "{path}");
    }
    let warning = "the credentials end before there are new ones";
    assert_eq!(world.log.wait_for(warning).await["level"], "WARN");
}

/// The same without a leap: by the clock on the wall, which is what the client looks at.
#[tokio::test]
async fn nobody_is_given_keys_that_have_no_time_left() {
    let short = Rule::always(Effect::Session(Duration::from_secs(22)));
    let world = Setup::default().pod(A, "a-role").rule(short).start().await;
    world.client(A).keys("a-role").await;
    let down = Rule::error(Code::ServiceUnavailable);
    world.sts().rules().set(vec![down]);
    let ask = async || {
        let answer = world
            .client(A)
            .get("/latest/meta-data/iam/security-credentials/a-role")
            .await;
        if answer.status == 200 {
            let left = answer.keys().expiration.duration_since(Timestamp::now());
            assert!(left.as_secs() >= 15, "{left:?}");
        }
        answer.status
    };
    assert_eq!(until(ask, |status| *status != 200).await, 503);
}

#[tokio::test]
async fn nothing_is_renewed_for_pods_that_are_gone() {
    let world = Setup::default()
        .pod(A, "a-role")
        .pod(B, "b-role")
        .start()
        .await;
    world.client(A).keys("a-role").await;
    world.client(B).keys("b-role").await;
    world.remove_pod(A);
    let held = async || world.metric("credentials_identities", &[]).await;
    until(held, |held| *held == 1).await;
    leap(HALF_LIFE).await;
    world.probe().await;
    assert_eq!((world.calls("a-role"), world.calls("b-role")), (1, 2));
}
