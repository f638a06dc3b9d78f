//! kiam's cases: how roles are spelled, what pods may have, how sessions are called.

use bpf2iam_standins::apiserver::{Rule, Verb};
use serde_json::{Value, json};

use crate::{
    pod::Pod,
    wait::{HELD, timed},
    world::{BASE_ARN, Setup},
};

use super::{ABROAD, cluster, told, with};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const C: Pod = Pod::new(3);
const D: Pod = Pod::new(4);

#[tokio::test]
async fn a_leading_slash_makes_no_other_role() {
    let pods = [A.manifest(Some("myrole")), B.manifest(Some("/myrole"))];
    let world = cluster(pods).arg("--session-name={node}").start().await;
    for (annotation, pod) in [("myrole", A), ("/myrole", B)] {
        for request in ["myrole", "/myrole"] {
            let answer = told(&world, pod, request).await;
            assert_eq!(answer, "200 keys of myrole", "{annotation}, {request}");
        }
        // kiam lists what is written, and the other slash with it.
        assert_eq!(told(&world, pod, "").await, "200 myrole", "{annotation}");
    }
    assert_eq!(world.calls("myrole"), 1);
}

/// kiam answers 500, and says both names. Here the log has the pod's own; the other is whatever a client wrote.
#[tokio::test]
async fn another_role_is_denied_and_the_pods_own_is_logged() {
    let world = cluster([A.manifest(Some("myrole"))]).start().await;
    assert_eq!(told(&world, A, "wrongrole").await, "404");
    let requests = world.log.records("request");
    let record = requests.last().unwrap();
    assert_eq!(record["outcome"], "other_role");
    assert_eq!(record["role"], format!("{BASE_ARN}myrole"));
    assert!(!record.to_string().contains("wrongrole"), "{record}");
    assert_eq!(world.refusals("other_role").await, 1);
    assert_eq!(world.calls("wrongrole"), 0);
}

#[tokio::test]
async fn roles_are_resolved_or_refused() {
    let world = cluster([A.manifest(Some("")), B.manifest(Some(ABROAD))])
        .arg("--default-role=fallback")
        .start()
        .await;
    for (case, pod, name, expected) in [
        ("role empty, list", A, "", "404"),
        ("role empty, credentials", A, "fallback", "404"),
        // kiam's name is the path with it.
        ("ARN of another account with path, list", B, "", "200 other"),
        (
            "ARN of another account with path, credentials",
            B,
            "other",
            "200 keys of arn:aws:iam::999999999999:role/path/other",
        ),
    ] {
        assert_eq!(told(&world, pod, name).await, expected, "{case}");
    }
    assert_eq!(world.refusals("invalid_role").await, 2);
    assert_eq!(world.calls("fallback"), 0);
}

/// kiam: 500. To several clients that is as final as a 404; a 503 says that there will be an answer.
#[tokio::test]
async fn credentials_for_no_pod_are_for_later() {
    let world = Setup::default().start().await;
    let (answer, waited) = timed(told(&world, A, "myrole")).await;
    assert_eq!(answer, "503");
    assert!(HELD.contains(&waited), "{waited:?}");
    assert_eq!(world.refusals("pod_unknown").await, 1);
}

#[tokio::test]
async fn an_error_that_passes_does_not_show() {
    let world = cluster([]).start().await;
    let once = Rule::status(500).for_verb(Verb::List).times(1);
    world.api().rules().add(once);
    world.api().put_quietly(A.manifest(Some("myrole"))).unwrap();
    assert_eq!(told(&world, A, "myrole").await, "200 keys of myrole");
    assert!(world.api().rules().entries().is_empty(), "it has failed");
}

fn called(pod: Pod, session: &str) -> Value {
    let annotations = json!({
        "iam.amazonaws.com/role": "myrole",
        "iam.amazonaws.com/session-name": session,
    });
    with(pod.manifest(None), "/metadata/annotations", annotations)
}

/// kiam puts `kiam-` before each, and two long names may become one. Here a name that STS takes stays as it is, and one
/// that was changed has a hash behind it.
#[tokio::test]
async fn sessions_are_called_as_their_pods_say() {
    let long = "s".repeat(70);
    let cases = [
        (A, "testing", "testing".to_owned(), 0),
        (B, "testing@#&-test%", "testing@---test-=".to_owned(), 12),
        (C, &*long, format!("{}=", "s".repeat(51)), 12),
        (D, "", "shop.pod-4".to_owned(), 0),
    ];
    let pods = cases.iter().map(|(pod, session, ..)| called(*pod, session));
    let world = cluster(pods).start().await;
    for (pod, session, start, hash) in &cases {
        let keys = world.client(*pod).keys("myrole").await;
        let issued = world.sts().issued(&keys.access_key_id).unwrap();
        let name = issued.session_name;
        let rest = name.strip_prefix(start).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(rest.len(), *hash, "{session:?}: {name}");
        let is_hash = rest.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_hash && name.len() <= 64, "{session:?}: {name}");
    }
}

#[tokio::test]
async fn of_two_pods_with_one_address_the_one_that_runs_is_served() {
    let both = json!([{"ip": A.address()}, {"ip": B.address()}]);
    let pod = |pod: Pod, role: &str, phase: &str| {
        let manifest = with(pod.manifest(Some(role)), "/status/podIPs", both.clone());
        with(manifest, "/status/phase", phase.into())
    };
    let failed = pod(A, "failed_role", "Failed");
    let world = cluster([failed, pod(B, "running_role", "Running")])
        .start()
        .await;
    assert_eq!(told(&world, B, "").await, "200 running_role");
    assert_eq!(told(&world, A, "").await, "404");
    assert_eq!(world.calls("failed_role"), 0);
}
