//! The keys that the agent itself has: none, such as have ended, others than before.

use bpf2iam_standins::sts::{Code, Rule};

use crate::{
    node_keys::NodeKeys,
    world::{NODE_KEY, Setup},
};

use super::scene::{ROLE, Scene, crowd};

/// The node's, like the first ones.
const NEXT: &str = "AKIDNODE000000000002";

#[tokio::test]
async fn keys_that_are_missing_are_found_when_they_come() {
    let keys = NodeKeys::new(None);
    let world = Setup::default().node_keys(&keys).start().await;
    let scene = Scene::empty(world);
    scene.crowd_comes();
    scene.all_wait().await;
    scene.attempts_end("unavailable").await;
    scene.said_once(&["no keys of the node to sign with", "nobody has any", "503"]);
    assert_eq!(scene.world.sts().calls().entries().len(), 0);
    keys.change(NEXT);
    scene.recovers().await;
    scene.said_once(&[]);
}

/// Nobody knows these; or STS says that they have ended.
#[tokio::test]
async fn keys_that_sts_does_not_take_are_replaced_when_there_are_others() {
    let stale: [(&str, Option<Code>); 2] = [
        ("AKIASTALE00000000001", None),
        (NEXT, Some(Code::ExpiredToken)),
    ];
    for (id, code) in stale {
        let keys = NodeKeys::default();
        let scene = Scene::new(Setup::default().node_keys(&keys)).await;
        keys.change(id);
        // The agent still has the first ones.
        scene.breaks(Rule::error(code.unwrap_or(Code::InvalidClientTokenId)));
        scene.all_wait().await;
        scene.attempts_end("unavailable").await;
        scene.keyed_is_served().await;
        scene.said_once(&["the node's own keys", "503"]);
        keys.change("AKIDNODE000000000003");
        scene.world.sts().rules().clear();
        scene.recovers().await;
        let calls = scene.world.sts().calls().entries();
        let last = calls.last().unwrap();
        assert_ne!(last.signed_by.as_deref(), Some(NODE_KEY), "the first ones");
    }
}

#[tokio::test]
async fn keys_that_were_rotated_are_picked_up_and_nobody_notices() {
    let keys = NodeKeys::default();
    let scene = Scene::new(Setup::default().node_keys(&keys)).await;
    keys.change(NEXT);
    // The old ones were deleted: of the first calls, some may still be signed with them.
    let deleted = Rule::error(Code::InvalidClientTokenId).times(1);
    scene.breaks(deleted);
    scene.all_get_keys().await;
    scene.keyed_is_served().await;
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
    let calls = scene.world.sts().calls().entries();
    let last = calls.last().unwrap();
    assert_eq!(last.signed_by.as_deref(), Some(NEXT));
    let calls = scene.world.calls(ROLE);
    assert_eq!(calls, crowd().count() + 1);
}
