//! Annotations that cannot be meant: STS is not asked, and others notice nothing.

use serde_json::Value;

use crate::{
    client::ROLES,
    pod::Pod,
    wait::until,
    world::{Setup, World},
};

use super::scene::{ROLE, Scene};

const A: Pod = Pod::new(1);

const EXTERNAL_ID: &str = "iam.amazonaws.com/external-id";
const SESSION_NAME: &str = "iam.amazonaws.com/session-name";
const POLICY: &str = "bpf2iam.io/session-policy";
const POLICY_ARNS: &str = "bpf2iam.io/session-policy-arns";
const DURATION: &str = "bpf2iam.io/session-duration";

/// `pod`, with one more annotation or another role.
fn annotated(pod: Pod, key: &str, value: &str) -> Value {
    let mut manifest = pod.manifest(Some(ROLE));
    manifest["metadata"]["annotations"][key] = value.into();
    manifest
}

fn write(world: &World, pod: Pod, manifest: &Value) {
    world.write(&format!("{}.yaml", pod.name()), &manifest.to_string());
}

/// What `pod` was warned of, in words that fit on a line.
fn warning_of(warnings: &[Value], pod: Pod) -> &str {
    let mut of_pod = warnings
        .iter()
        .filter(|warning| warning["pod"] == pod.full_name());
    let (first, second) = (of_pod.next(), of_pod.next());
    assert_eq!(second, None, "{}", pod.full_name());
    let note = first.and_then(|first| first["note"].as_str()).unwrap();
    assert!(note.len() < 700 && note.is_ascii(), "{note}");
    note
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_sts_sees_it_and_said_once() {
    let long = "n".repeat(3000);
    let many = "arn:aws:iam::aws:policy/P,".repeat(11);
    let foreign = "arn:aws:iam::999999999999:policy/p";
    let wrong = [
        ("iam.amazonaws.com/role", &*long, "role"),
        ("iam.amazonaws.com/role", "a role", "role"),
        ("iam.amazonaws.com/role", "r\u{f6}le\u{202e}", "role"),
        ("iam.amazonaws.com/role", "arn:aws:iam::12:role/r", "role"),
        (EXTERNAL_ID, "a b", EXTERNAL_ID),
        (EXTERNAL_ID, &*long, EXTERNAL_ID),
        (POLICY, "{", POLICY),
        (POLICY, "[]", POLICY),
        (POLICY, "{\"Sid\": \"\u{20ac}\"}", POLICY),
        (POLICY, &*format!("{{\"Sid\": \"{long}\"}}"), POLICY),
        (POLICY, &*"[".repeat(4000), POLICY),
        (POLICY_ARNS, &*many, POLICY_ARNS),
        (POLICY_ARNS, "ReadOnlyAccess", POLICY_ARNS),
        (POLICY_ARNS, foreign, POLICY_ARNS),
        (DURATION, "soon", DURATION),
        (DURATION, "5m", DURATION),
        (DURATION, &*long, DURATION),
    ];
    let pods = || (1..).map(Pod::new).zip(wrong);
    let scene = Scene::new(Setup::default()).await;
    for (pod, (key, value, _)) in pods() {
        write(&scene.world, pod, &annotated(pod, key, value));
    }
    let said = async || scene.warnings();
    until(said, |warnings| warnings.len() >= wrong.len()).await;
    scene.other_is_served().await;
    scene.keyed_is_served().await;
    let calls = async |pod: Pod| scene.world.client(pod).get(ROLES).await;
    for (pod, (key, value, _)) in pods() {
        for _ in 0..3 {
            assert!(calls(pod).await.is_absent(), "{key}: {value:.40}");
        }
    }
    let warnings = scene.warnings();
    assert_eq!(warnings.len(), wrong.len(), "{warnings:#?}");
    for (pod, (key, value, word)) in pods() {
        let note = warning_of(&warnings, pod);
        assert!(note.contains(word), "{key}: {value:.40}: {note}");
    }
    assert_eq!(
        scene.world.sts().calls().entries().len(),
        2,
        "of the others"
    );
    for (pod, _) in pods() {
        scene.world.write_pod(pod, Some(ROLE));
        until(async || calls(pod).await.status, |status| *status == 200).await;
    }
}

#[tokio::test]
async fn the_name_of_a_session_is_made_one_that_sts_takes() {
    let scene = Scene::new(Setup::default()).await;
    let world = &scene.world;
    let mut names = Vec::new();
    for name in [
        &*"n".repeat(65),
        &*"n".repeat(66),
        &*"n".repeat(5000),
        "a/b",
        "a b",
        "\u{202e}\u{0}",
        "a",
        "../../etc",
    ] {
        write(world, A, &annotated(A, SESSION_NAME, name));
        let own = async || {
            let answer = world.client(A).get(&format!("{ROLES}{ROLE}")).await;
            (answer.status == 200).then(|| {
                let issued = world.sts().issued(&answer.keys().access_key_id);
                issued.unwrap().session_name
            })
        };
        let is_new = |own: &Option<String>| {
            let own = own.as_ref();
            own.is_some_and(|own| own.contains('=') && !names.contains(own))
        };
        let name = until(own, is_new).await.unwrap();
        names.push(name);
    }
    // STS's stand-in refuses what STS refuses.
    let calls = world.sts().calls().entries();
    assert!(calls.iter().all(|call| call.issued.is_some()), "{calls:#?}");
    assert!(scene.warnings().is_empty(), "{:#?}", scene.warnings());
}

#[tokio::test]
async fn more_tags_than_sts_takes_are_refused_at_the_start() {
    let tags = |number| {
        let tags: Vec<_> = (0..number).map(|tag| format!("key-{tag}=value")).collect();
        Setup::default().arg(format!("--session-tags={}", tags.join(",")))
    };
    let refused = format!("{:#}", tags(51).config().unwrap_err());
    assert!(refused.contains("--session-tags"), "{refused}");
    assert!(
        refused.contains("51 session tags are more than the 50"),
        "{refused}"
    );

    let scene = Scene::new(tags(50)).await;
    scene.crowd_comes();
    scene.all_get_keys().await;
    let calls = scene.world.sts().calls().entries();
    let last = calls.last().unwrap();
    assert!(
        last.parameters.contains_key("Tags.member.50.Key"),
        "{last:?}"
    );
}
