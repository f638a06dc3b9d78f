//! STS is out of order, for everybody, while many pods come.

use std::{num::NonZeroU32, time::Duration};

use bpf2iam_standins::sts::{Bucket, Code, Effect, Fault, Rule};

use crate::world::Setup;

use super::scene::{Scene, arn, crowd};

/// Nobody who has keys notices anything; the others get theirs as soon as it is over. Meanwhile the log has one line,
/// with `words`.
async fn outage(effect: Effect, words: &[&str]) {
    let scene = Scene::new(Setup::default()).await;
    scene.breaks(Rule::always(effect));
    scene.all_wait().await;
    scene.keyed_is_served().await;
    scene.attempts_end("unavailable").await;
    scene.keyed_is_served().await;
    scene.said_once(
        &[
            words,
            &["no answer from STS", "503", "AWS_ENDPOINT_URL_STS"],
        ]
        .concat(),
    );
    scene.world.sts().rules().clear();
    scene.recovers().await;
    scene.said_once(words);
}

#[tokio::test]
async fn an_internal_failure() {
    outage(
        Effect::Fault(Fault::Error(Code::InternalFailure)),
        &["InternalFailure"],
    )
    .await;
}

#[tokio::test]
async fn garbage() {
    outage(Effect::Fault(Fault::Garbage), &[]).await;
}

#[tokio::test]
async fn half_an_answer() {
    outage(Effect::Fault(Fault::Cut), &["secret key"]).await;
}

#[tokio::test]
async fn a_closed_connection() {
    outage(Effect::Fault(Fault::Close), &[]).await;
}

#[tokio::test]
async fn silence() {
    outage(Effect::Fault(Fault::Hang), &[]).await;
}

#[tokio::test]
async fn an_answer_after_half_a_minute() {
    outage(Effect::Latency(Duration::from_secs(30)), &[]).await;
}

#[tokio::test]
async fn keys_that_have_ended() {
    let ended = Effect::Session(Duration::ZERO);
    outage(ended, &["and this node's clock says"]).await;
}

#[tokio::test]
async fn nobody_listens() {
    let mut scene = Scene::new(Setup::default()).await;
    scene.world.sts_host().stop().await;
    scene.crowd_comes();
    scene.all_wait().await;
    scene.attempts_end("unavailable").await;
    scene.keyed_is_served().await;
    scene.said_once(&["refused", "503", "AWS_ENDPOINT_URL_STS"]);
    scene.world.sts_host().start().await;
    scene.recovers().await;
}

#[tokio::test]
async fn packets_vanish() {
    let mut scene = Scene::new(Setup::default()).await;
    scene.world.sts_host().vanish().await;
    scene.crowd_comes();
    scene.all_wait().await;
    scene.attempts_end("unavailable").await;
    scene.keyed_is_served().await;
    scene.said_once(&["connect", "503", "firewalls"]);
    scene.world.sts_host().start().await;
    scene.recovers().await;
}

#[tokio::test]
async fn too_many_calls() {
    let scene = Scene::new(Setup::default()).await;
    scene.breaks(Rule::error(Code::Throttling));
    scene.all_wait().await;
    scene.attempts_end("throttled").await;
    scene.keyed_is_served().await;
    scene.said_once(&["Rate exceeded", "503", "calls less often"]);
    scene.world.sts().rules().clear();
    scene.recovers().await;
}

/// STS's limit is for all nodes together: what this one gets of it serves everybody in the end.
#[tokio::test]
async fn a_small_share_of_what_sts_allows() {
    let scene = Scene::new(Setup::default()).await;
    let number = |number| NonZeroU32::new(number).unwrap();
    let few = Bucket::new(number(20), number(5));
    scene.breaks(Rule::always(Effect::Throttle(few)));
    scene.all_get_keys().await;
    scene.keyed_is_served().await;
    assert!(scene.warnings().len() <= 1, "{:#?}", scene.warnings());
    let calls = scene.world.calls("a-role");
    assert!(calls <= 4 * crowd().count(), "{calls}");
}

/// Also where it looks as if STS were gone for all.
#[tokio::test]
async fn what_fails_for_one_role_does_not_keep_another_from_its_keys() {
    for (code, outcome) in [
        (Code::InternalFailure, "unavailable"),
        (Code::IdpCommunicationError, "unavailable"),
        (Code::Throttling, "throttled"),
        (Code::ValidationError, "invalid"),
    ] {
        let scene = Scene::new(Setup::default()).await;
        scene.breaks(Rule::error(code).for_role(arn()));
        scene.attempts_end(outcome).await;
        scene.keyed_is_served().await;
        scene.other_is_served().await;
        scene.said_once(&[&arn()]);
    }
}
