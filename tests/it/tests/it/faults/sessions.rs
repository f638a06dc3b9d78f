//! Sessions that are not as one expects, and a clock that is wrong.

use std::time::Duration;

use bpf2iam_standins::sts::{Effect, Rule};
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::Keys,
    wait::{leap, until},
    world::Setup,
};

use super::scene::{ROLE, Scene, crowd};

const HOUR: i64 = 3600;

/// How many seconds `keys` have left by this machine's clock.
fn left(keys: &Keys) -> i64 {
    keys.expiration.duration_since(Timestamp::now()).as_secs()
}

#[tokio::test]
async fn sts_and_the_node_are_ten_minutes_apart() {
    for (ahead, most) in [(10, HOUR), (-10, HOUR - 600)] {
        let scene = Scene::new(Setup::default()).await;
        let ahead = Effect::Clock(SignedDuration::from_mins(ahead));
        scene.breaks(Rule::always(ahead));
        scene.all_get_keys().await;
        for pod in crowd().take(3) {
            let left = left(&scene.world.client(pod).keys(ROLE).await);
            assert!((most - 60..=most).contains(&left), "{left}");
        }
        scene.keyed_is_served().await;
        assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
    }
}

/// Signatures are good for some minutes around STS's time: the SDK corrects them, and says nothing.
#[tokio::test]
async fn sts_is_half_an_hour_ahead_or_behind() {
    for ahead in [30, -30] {
        let scene = Scene::new(Setup::default()).await;
        let ahead = Effect::Clock(SignedDuration::from_mins(ahead));
        scene.breaks(Rule::always(ahead));
        scene.all_get_keys().await;
        scene.keyed_is_served().await;
        let calls = scene.world.calls(ROLE);
        assert!(calls <= 3 * crowd().count(), "{calls}");
    }
}

#[tokio::test]
async fn sts_is_so_far_behind_that_its_keys_have_ended_when_they_come() {
    let scene = Scene::new(Setup::default()).await;
    let behind = Effect::Clock(SignedDuration::from_hours(-2));
    scene.breaks(Rule::always(behind));
    scene.all_wait().await;
    scene.attempts_end("unavailable").await;
    scene.keyed_is_served().await;
    scene.said_once(&["this node's clock", "503"]);
    scene.world.sts().rules().clear();
    scene.recovers().await;
}

#[tokio::test]
async fn keys_with_a_minute_left_are_given_out_and_replaced_in_time() {
    let scene = Scene::new(Setup::default()).await;
    let short = Effect::Session(Duration::from_mins(1));
    scene.breaks(Rule::always(short));
    scene.all_get_keys().await;
    let pod = crowd().next().unwrap();
    let first = scene.world.client(pod).keys(ROLE).await;
    assert!((15..=60).contains(&left(&first)), "{first:?}");
    let calls = scene.world.calls(ROLE);
    assert!(calls <= 2 * crowd().count(), "{calls}");
    let keys = async || {
        leap(Duration::from_secs(1)).await;
        scene.world.client(pod).keys(ROLE).await
    };
    let second = until(keys, |keys| *keys != first).await;
    assert!((15..=60).contains(&left(&second)), "{second:?}");
    scene.keyed_is_served().await;
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
}

#[tokio::test]
async fn a_token_of_4_kib_comes_as_it_is() {
    let scene = Scene::new(Setup::default()).await;
    scene.breaks(Rule::always(Effect::Token(4096)));
    scene.all_get_keys().await;
    let secrets = scene.world.sts().secrets();
    for pod in crowd() {
        let keys = scene.world.client(pod).keys(ROLE).await;
        assert!(keys.token.len() >= 4096, "{}", keys.token.len());
        assert!(secrets.contains(&keys.token));
    }
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
}
