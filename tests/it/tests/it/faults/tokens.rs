//! Roles of ServiceAccounts: the token is what goes wrong.

use std::time::Duration;

use bpf2iam_standins::{
    apiserver,
    apiserver::Verb,
    sts::{Action, Code, Rule},
};
use serde_json::{Value, json};

use crate::{
    pod::{NAMESPACE, Pod},
    wait::{leap, until},
    world::Setup,
};

use super::scene::{ROLE, Scene, arn, crowd};

const SUBJECT: &str = "system:serviceaccount:shop:till";
const HALF_LIFE: Duration = Duration::from_mins(30);

fn object(kind: &str, name: &str, annotations: &Value) -> Value {
    let namespace = (kind != "Namespace").then_some(NAMESPACE);
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
    })
}

/// `pod`, which runs as `till`.
fn of_till(pod: Pod) -> Value {
    let mut manifest = pod.manifest(None);
    manifest["spec"]["serviceAccountName"] = "till".into();
    manifest
}

/// A cluster where `till` may have the role of the crowd, and everything is well.
async fn cluster() -> Scene {
    let role = json!({"eks.amazonaws.com/role-arn": arn()});
    let objects = [
        object("Namespace", NAMESPACE, &json!({})),
        object("ServiceAccount", "default", &json!({})),
        object("ServiceAccount", "till", &role),
    ];
    let setup = Setup::default().cluster(objects).trust(ROLE, SUBJECT);
    Scene::in_cluster(setup).await
}

/// The crowd, all of them `till`.
fn come(scene: &Scene) {
    for pod in crowd() {
        scene.world.api().put(of_till(pod)).unwrap();
    }
}

fn of_tokens(status: u16) -> apiserver::Rule {
    apiserver::Rule::status(status)
        .for_verb(Verb::Create)
        .for_path("*/token")
}

#[tokio::test]
async fn a_token_that_sts_refuses_is_one_line_and_a_change_is_picked_up() {
    for (code, words) in [
        (Code::AccessDenied, ["trust policy", SUBJECT]),
        (Code::IdpRejectedClaim, ["trust policy", SUBJECT]),
        (
            Code::InvalidIdentityToken,
            ["OIDC provider", "123456789012"],
        ),
    ] {
        let scene = cluster().await;
        let exchange = Action::AssumeRoleWithWebIdentity;
        let refuse = Rule::error(code).for_action(exchange);
        scene.world.sts().rules().set(vec![refuse]);
        come(&scene);
        scene.all_are_told(404).await;
        scene.keyed_is_served().await;
        scene.said_once(&[words[0], words[1], "sts.amazonaws.com", "404"]);
        scene.world.sts().rules().clear();
        leap(Duration::from_mins(1)).await;
        scene.recovers().await;
        scene.said_once(&words);
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_replaced_and_nobody_notices() {
    let scene = cluster().await;
    let ended = Rule::error(Code::ExpiredTokenException).times(10);
    scene.world.sts().rules().set(vec![ended]);
    come(&scene);
    scene.all_get_keys().await;
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
}

#[tokio::test]
async fn tokens_of_a_key_that_was_rotated_are_replaced_and_nobody_notices() {
    let scene = cluster().await;
    come(&scene);
    scene.all_get_keys().await;
    let calls = scene.world.calls(ROLE);
    scene.world.api().rotate_key();
    leap(HALF_LIFE).await;
    // Each is refused once, and exchanges a new one then.
    let twice = 2 * crowd().count();
    let renewed = async || scene.world.calls(ROLE) - calls;
    until(renewed, |renewed| *renewed >= twice).await;
    scene.all_get_keys().await;
    assert_eq!(scene.world.calls(ROLE) - calls, twice);
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
}

#[tokio::test]
async fn tokens_that_may_not_be_made_are_one_line_and_the_permission_is_picked_up() {
    let scene = cluster().await;
    scene.world.api().rules().add(of_tokens(403));
    come(&scene);
    scene.all_are_told(404).await;
    scene.keyed_is_served().await;
    scene.said_once(&[
        "may not create serviceaccounts/token",
        SUBJECT,
        "deploy/",
        "404",
    ]);
    assert_eq!(scene.world.calls(ROLE), 0);
    scene.world.api().rules().clear();
    leap(Duration::from_mins(1)).await;
    scene.recovers().await;
}

#[tokio::test]
async fn an_api_server_that_makes_no_tokens_is_one_line_and_waited_for() {
    let scene = cluster().await;
    scene.world.api().rules().add(of_tokens(500));
    come(&scene);
    scene.all_wait().await;
    scene.attempts_end("no_token").await;
    scene.keyed_is_served().await;
    scene.said_once(&[
        "no answer from the API server",
        "look at the way to the API server",
        "503",
    ]);
    scene.world.api().rules().clear();
    scene.recovers().await;
}
