//! A role that may not be assumed, and then may.

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Rule};

use crate::{client::INFO, wait::leap, world::Setup};

use super::scene::{ROLE, Scene, arn, crowd};

#[tokio::test]
async fn a_trust_policy_that_refuses_is_one_line_and_its_change_is_picked_up() {
    let scene = Scene::new(Setup::default()).await;
    scene.breaks(Rule::error(Code::AccessDenied).for_role(arn()));
    scene.all_are_told(404).await;
    scene.keyed_is_served().await;
    scene.other_is_served().await;
    for _ in 0..3 {
        scene.all_are_told(404).await;
    }
    let pods = crowd().count();
    assert_eq!(scene.world.calls(ROLE), pods, "it is remembered");
    let words = [
        "is not authorized to perform: sts:AssumeRole",
        "trust policy",
        "404",
    ];
    scene.said_once(&words);
    let pod = crowd().next().unwrap();
    assert_eq!(scene.world.client(pod).get(INFO).await.status, 200);

    // It is asked about again, by itself and by pods, and the log has no more lines.
    leap(Duration::from_mins(1)).await;
    scene.all_are_told(404).await;
    assert!(scene.world.calls(ROLE) <= 2 * pods);
    scene.said_once(&words);

    scene.world.sts().rules().clear();
    leap(Duration::from_mins(1)).await;
    scene.recovers().await;
    scene.said_once(&words);
}
