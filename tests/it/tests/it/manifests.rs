//! Pods from a directory: what changes there, what is wrong there.

use crate::{
    client::{INFO, ROLES},
    pod::Pod,
    wait::until,
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);

/// Status and body of the list, as soon as they are `wanted`; until then they may be `meanwhile`, and nothing else.
async fn becomes(world: &World, pod: Pod, meanwhile: (u16, &str), wanted: (u16, &str)) {
    let list = async || world.client(pod).get(ROLES).await;
    let arrived = until(list, |list| {
        let seen = list.seen();
        assert!(seen == wanted || seen == meanwhile, "{seen:?}");
        seen == wanted
    });
    arrived.await;
}

#[tokio::test]
async fn another_role_counts_with_the_next_request_after_the_change() {
    let setup = Setup::default().pod(A, "a-role").pod(B, "b-role");
    let world = setup.start().await;
    let old = world.client(A).keys("a-role").await;
    world.write_pod(A, Some("b-role"));
    becomes(&world, A, (200, "a-role"), (200, "b-role")).await;
    assert!(
        world
            .client(A)
            .get(&format!("{ROLES}a-role"))
            .await
            .is_absent()
    );
    let new = world.client(A).keys("b-role").await;
    assert_ne!(new.access_key_id, old.access_key_id);
    let issued = world.sts().issued(&new.access_key_id).unwrap();
    assert_eq!(issued.role, format!("{BASE_ARN}b-role"));
    let records = world.log.records("the manifests changed");
    assert_eq!(records.last().unwrap()["changed"], 1, "{records:?}");
}

#[tokio::test]
async fn external_id_and_session_name_are_the_pods_own_and_a_wrong_one_takes_its_role_away() {
    let setup = Setup::default().pod(A, "a-role").pod(B, "a-role");
    let world = setup.start().await;
    let shared = world.client(B).keys("a-role").await;
    let annotate = |external_id: &str| {
        let mut manifest = A.manifest(Some("a-role"));
        manifest["metadata"]["annotations"]["iam.amazonaws.com/external-id"] = external_id.into();
        manifest["metadata"]["annotations"]["iam.amazonaws.com/session-name"] = "night".into();
        world.write(&format!("{}.yaml", A.name()), &manifest.to_string());
    };
    annotate("partner-7");
    let own = async || {
        let keys = world.client(A).keys("a-role").await;
        world.sts().issued(&keys.access_key_id).unwrap()
    };
    let issued = until(own, |issued| issued.external_id.is_some()).await;
    assert_eq!(issued.external_id.as_deref(), Some("partner-7"));
    assert_eq!(issued.session_name, "night");
    // Who has the same role without it keeps its own session.
    assert_eq!(world.client(B).keys("a-role").await, shared);
    annotate("a b");
    let list = async || world.client(A).get(ROLES).await.is_absent();
    until(list, |absent| *absent).await;
    assert_eq!(world.client(B).keys("a-role").await, shared);
}

/// What a pod may say to have less than its role.
const NARROW: [(&str, &str); 3] = [
    (
        "bpf2iam.io/session-policy",
        r#"{"Version":"2012-10-17","Statement":[]}"#,
    ),
    (
        "bpf2iam.io/session-policy-arns",
        "arn:aws:iam::aws:policy/ReadOnlyAccess",
    ),
    ("bpf2iam.io/session-duration", "50m"),
];

#[tokio::test]
async fn a_session_has_the_operators_tags_and_is_narrowed_as_its_pod_says() {
    let setup = Setup::default().pod(A, "a-role").pod(B, "a-role");
    let tags = "--session-tags=kubernetes-pod-name,team=pay";
    let world = setup.arg(tags).start().await;
    let wide = world.client(B).keys("a-role").await;
    let annotate = |wrong: Option<&str>| {
        let mut manifest = A.manifest(Some("a-role"));
        for (key, value) in NARROW {
            manifest["metadata"]["annotations"][key] = wrong.unwrap_or(value).into();
        }
        world.write(&format!("{}.yaml", A.name()), &manifest.to_string());
    };
    annotate(None);
    let own = async || {
        let keys = world.client(A).keys("a-role").await;
        world.sts().issued(&keys.access_key_id).unwrap()
    };
    until(own, |issued| issued.duration_seconds == 3000).await;
    let calls = world.sts().calls().entries();
    let sent = &calls.last().unwrap().parameters;
    for (parameter, value) in [
        ("Policy", NARROW[0].1),
        ("PolicyArns.member.1.arn", NARROW[1].1),
        ("DurationSeconds", "3000"),
        ("Tags.member.1.Key", "kubernetes-pod-name"),
        ("Tags.member.1.Value", "pod-1"),
        ("Tags.member.2.Key", "team"),
        ("Tags.member.2.Value", "pay"),
    ] {
        let sent = sent.get(parameter).map(String::as_str);
        assert_eq!(sent, Some(value), "{parameter}");
    }
    annotate(Some("{"));
    let list = async || world.client(A).get(ROLES).await.is_absent();
    until(list, |absent| *absent).await;
    assert_eq!(world.client(B).keys("a-role").await, wide);
}

#[tokio::test]
async fn a_pod_without_its_annotation_has_no_role_any_more() {
    let world = Setup::default().pod(A, "a-role").start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    world.write_pod(A, None);
    let list = async || world.client(A).get(ROLES).await.is_absent();
    until(list, |absent| *absent).await;
    assert!(
        world
            .client(A)
            .get(&format!("{ROLES}a-role"))
            .await
            .is_absent()
    );
}

#[tokio::test]
async fn a_pod_that_is_gone_is_refused() {
    let world = Setup::default()
        .pod(A, "a-role")
        .pod(B, "b-role")
        .start()
        .await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    world.remove_pod(A);
    becomes(&world, A, (200, "a-role"), (503, "")).await;
    for path in [&format!("{ROLES}a-role"), INFO] {
        assert_eq!(world.client(A).get(path).await.seen(), (503, ""), "{path}");
    }
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));
    assert_eq!(world.refusals("pod_unknown").await, 3);
    assert_eq!(world.metric("pods", &[]).await, 1);
    let pods = world.status().await.pods;
    assert!(pods.iter().all(|pod| pod.name == B.name()), "{pods:?}");
}

#[tokio::test]
async fn a_directory_that_goes_takes_its_pods_along_until_it_is_back() {
    let world = Setup::default().pod(A, "a-role").start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    let (here, away) = (world.pods(), world.pods().with_extension("away"));
    std::fs::rename(&here, &away).unwrap();
    // The directory's own name is watched by nobody: a change in it is what wakes the agent.
    std::fs::write(away.join("new.yaml"), "").unwrap();
    becomes(&world, A, (200, "a-role"), (503, "")).await;
    std::fs::rename(&away, &here).unwrap();
    becomes(&world, A, (503, ""), (200, "a-role")).await;
}

const BAD: &str = "\
apiVersion: v1
kind: Pod
metadata:
  name: broken
  namespace: shop
  uid: 0f1e2d3c-4b5a
spec:
  nodeName: node-1
";

#[tokio::test]
async fn a_wrong_manifest_is_told_by_its_place_and_keeps_no_other_from_counting() {
    let setup = Setup::default().pod(A, "a-role").pod(B, "b-role");
    let world = setup.file("bad.yaml", BAD).start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));
    assert_eq!(world.metric("manifest_errors", &[]).await, 1);
    let warnings = warnings(&world);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let place = format!("{}/bad.yaml:6:", world.pods().display());
    assert!(warnings[0].starts_with(&place), "{warnings:?}");
    assert!(warnings[0].contains(": metadata.uid: "), "{warnings:?}");

    world.write(
        "bad.yaml",
        &BAD.replace("uid: 0f1e2d3c-4b5a", &format!("uid: {}", Pod::new(3).uid())),
    );
    let known = async || world.metric("pods", &[]).await;
    until(known, |known| *known == 3).await;
    assert_eq!(world.metric("manifest_errors", &[]).await, 0);
}

/// What the agent warned about so far.
fn warnings(world: &World) -> Vec<String> {
    let lines = world.log.lines();
    let records = lines
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records
        .filter(|record| record["level"] == "WARN")
        .map(|record| record["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_kind_of_mistake_has_one_clear_line() {
    let double = Pod::new(1)
        .manifest(Some("thief"))
        .to_string()
        .replace("pod-1", "thief");
    let world = Setup::default().pod(B, "b-role").start().await;
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "b-role"));
    let files = [
        ("a.yaml", "kind: [", "a.yaml:1:"),
        ("b.yaml", "just text", "apiVersion, kind and metadata"),
        ("c.json", "{\"kind\": \"Pod\"", "c.json:1:"),
        (
            "d.yaml",
            &BAD.replace("kind: Pod", "kind: Pod\nkind: Pod"),
            "d.yaml:3:",
        ),
        (
            "e.yaml",
            &BAD.replace("nodeName: node-1", "nodeName: 5"),
            "spec.nodeName",
        ),
        (
            "f.yaml",
            &BAD.replace("v1", "v2"),
            "apiVersion: \"v2\" is not v1",
        ),
        (
            "g.yaml",
            &double.replace(&A.uid(), &B.uid()),
            "has the UID of shop/",
        ),
    ];
    for (name, text, _) in &files {
        world.write(name, text);
    }
    let errors = async || world.metric("manifest_errors", &[]).await;
    until(errors, |errors| *errors == 7).await;
    let warnings = warnings(&world);
    for (name, _, says) in files {
        let about = |line: &&String| line.contains(&format!("/{name}")) && line.contains(says);
        assert_eq!(
            warnings.iter().filter(about).count(),
            1,
            "{name}: {warnings:#?}"
        );
    }
    // Two pods with one UID: nobody can tell which of them asks, so that neither is served.
    becomes(&world, B, (200, "b-role"), (503, "")).await;
}

#[tokio::test]
async fn what_is_no_role_is_never_the_default_role() {
    for role in [
        "",
        "not a role",
        "a/b/",
        "arn:aws:iam::123456789012:user/u",
        "arn:aws:iam::123:role/r",
        "arn:aws:s3:::bucket",
    ] {
        let setup = Setup::default().pod(A, role).pod(B, None);
        let world = setup.arg("--default-role=fallback").start().await;
        assert_eq!(
            world.client(B).get(ROLES).await.seen(),
            (200, "fallback"),
            "{role:?}"
        );
        for path in [
            ROLES,
            INFO,
            "/latest/meta-data/iam/security-credentials/fallback",
        ] {
            assert!(
                world.client(A).get(path).await.is_absent(),
                "{role:?}: {path}"
            );
        }
        assert_eq!(world.refusals("invalid_role").await, 3, "{role:?}");
        let records = world.log.records("request");
        let last = records.last().unwrap();
        assert_eq!(last["outcome"], "invalid_role");
        let error = last["error"].as_str().unwrap();
        assert!(error.contains(role), "{last}");
    }
}

#[tokio::test]
async fn the_default_role_is_for_pods_that_name_none() {
    let setup = Setup::default().pod(A, "a-role").pod(B, None);
    let world = setup.arg("--default-role=team/fallback").start().await;
    assert_eq!(world.client(A).get(ROLES).await.seen(), (200, "a-role"));
    assert_eq!(world.client(B).get(ROLES).await.seen(), (200, "fallback"));
    let keys = world.client(B).keys("fallback").await;
    let issued = world.sts().issued(&keys.access_key_id).unwrap();
    assert_eq!(issued.role, format!("{BASE_ARN}team/fallback"));
    assert!(
        world
            .client(A)
            .get(&format!("{ROLES}fallback"))
            .await
            .is_absent()
    );
}
