//! Each pod gets its own role, and nobody another's.

use bpf2iam_standins::{LEAK_MARK, sts::Sts};

use crate::{
    client::{Client, INFO, Keys, ROLES},
    pod::Pod,
    wait::{HELD, timed, until},
    world::{BASE_ARN, NODE_KEY, REGION, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const C: Pod = Pod::new(3);

fn two_pods() -> Setup {
    Setup::default().pod(A, "a-role").pod(B, "team/b-role")
}

/// The keys of the pod's role, asked for as an `IMDSv1` client does.
async fn by_v1(client: Client) -> (String, Keys) {
    let list = client.get(ROLES).await;
    assert_eq!(list.status, 200, "{list:?}");
    let keys = client.keys(&list.body).await;
    (list.body, keys)
}

/// The same by `IMDSv2`.
async fn by_v2(client: Client) -> (String, Keys) {
    let token = client.token().await;
    let list = client.get_with(ROLES, &token).await;
    assert_eq!(list.status, 200, "{list:?}");
    let keys = client
        .get_with(&format!("{ROLES}{}", list.body), &token)
        .await;
    (list.body, keys.keys())
}

/// The keys are those that STS gave out for this role and pod, and for nothing else.
fn assert_issued(sts: &Sts, keys: &Keys, role: &str, pod: Pod) {
    let issued = sts.issued(&keys.access_key_id).expect("STS knows the key");
    assert_eq!(issued.role, format!("{BASE_ARN}{role}"));
    assert_eq!(issued.session_name, pod.full_name().replace('/', "."));
    assert_eq!(issued.duration_seconds, 3600);
    assert!(keys.end_as(issued.expires), "{keys:?}");
    assert!(!keys.access_key_id.contains(LEAK_MARK), "{keys:?}");
    let secrets = sts.secrets();
    assert!(secrets.contains(&keys.secret_access_key), "{keys:?}");
    assert!(secrets.contains(&keys.token), "{keys:?}");
}

#[tokio::test]
async fn two_pods_get_the_keys_of_their_own_roles_by_both_versions() {
    let world = two_pods().start().await;
    for (pod, role, name) in [(A, "a-role", "a-role"), (B, "team/b-role", "b-role")] {
        let client = world.client(pod);
        let (v1, v2) = (by_v1(client).await, by_v2(client).await);
        assert_eq!(v1.0, name);
        assert_eq!(v1, v2);
        assert_issued(world.sts(), &v1.1, role, pod);
    }
    let calls = world.sts().calls().entries();
    assert_eq!(calls.len(), 2, "{calls:?}");
    for call in calls {
        assert_eq!(call.signed_by.as_deref(), Some(NODE_KEY));
        assert_eq!(call.region.as_deref(), Some(REGION));
    }
}

#[tokio::test]
async fn what_was_served_is_counted_and_logged() {
    let world = two_pods().start().await;
    by_v2(world.client(A)).await;
    let page = world.metrics().await;
    for route in ["token", "role_list", "role_credentials"] {
        let labels = [("route", route), ("status", "200")];
        assert_eq!(
            page.sum("bpf2iam_imds_requests_total", &labels),
            1,
            "{route}"
        );
    }
    for (name, number) in [
        ("imds_requests_total", 3),
        ("imds_refusals_total", 0),
        ("imds_tokens_issued_total", 1),
        ("imds_request_duration_seconds_count", 3),
    ] {
        assert_eq!(page.sum(&format!("bpf2iam_{name}"), &[]), number, "{name}");
    }

    let records = world.log.records("request");
    assert_eq!(records.len(), 3, "{records:?}");
    let keys = &records[2];
    for (field, value) in [
        ("level", "INFO"),
        ("target", "access"),
        ("pod", "shop/pod-1"),
        ("uid", &A.uid()),
        ("route", "role_credentials"),
        ("outcome", "served"),
        ("role", &format!("{BASE_ARN}a-role")),
    ] {
        assert_eq!(keys[field], value, "{keys}");
    }
    assert_eq!(
        (&keys["status"], &keys["token"]),
        (&200.into(), &true.into())
    );
    assert_eq!(keys.get("error"), None, "{keys}");
}

#[tokio::test]
async fn the_instance_profile_is_made_up_for_the_pods_role() {
    let world = two_pods().start().await;
    let info = world.client(B).get(INFO).await.json();
    let profile = "arn:aws:iam::123456789012:instance-profile/b-role";
    assert_eq!(info["InstanceProfileArn"], profile);
    assert_eq!(info["Code"], "Success");
    let id = info["InstanceProfileId"].as_str().unwrap();
    assert!(id.starts_with("AIPA") && id.len() == 21, "{id}");
}

/// Asks for everything in the iam tree that a pod could want; says which answers are not the page for what is absent.
async fn present(world: &World, pod: Pod, names: &[&str]) -> Vec<String> {
    let mut paths = vec![ROLES.to_owned(), INFO.to_owned()];
    paths.extend(names.iter().map(|name| format!("{ROLES}{name}")));
    let mut present = Vec::new();
    for path in paths {
        let answer = world.client(pod).get(&path).await;
        if !answer.is_absent() {
            present.push(format!("{path}: {answer:?}"));
        }
    }
    present
}

#[tokio::test]
async fn a_pod_without_a_role_sees_an_instance_without_one() {
    let world = two_pods().pod(C, None).start().await;
    let found = present(&world, C, &["a-role", "b-role", "node-role"]).await;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(world.refusals("no_role").await, 5);
    let requests = world.log.requests(&C.full_name());
    let refused = ("role_list".to_owned(), 404, "no_role".to_owned());
    assert_eq!(requests.first(), Some(&refused), "{requests:?}");
}

#[tokio::test]
async fn another_role_is_not_there_however_it_is_named() {
    let world = two_pods().start().await;
    for name in [
        "b-role",
        "team/b-role",
        "node-role",
        "A-ROLE",
        "a-rol",
        "a-role2",
        "a-role%20",
        "a-role%00",
        "a-role/b-role",
        "arn:aws:iam::123456789012:role/a-role",
        "..%2Fb-role",
    ] {
        let answer = world.client(A).get(&format!("{ROLES}{name}")).await;
        assert!(answer.is_absent(), "{name}: {answer:?}");
    }
    let granted = world.log.requests(&A.full_name());
    assert!(
        granted.iter().all(|(_, status, _)| *status == 404),
        "{granted:?}"
    );
    assert_eq!(world.refusals("other_role").await, 6);
    assert_eq!(world.refusals("path").await, 5);
}

#[tokio::test]
async fn whoever_cannot_be_attested_gets_no_byte() {
    let world = two_pods().arg("--default-role=fallback").start().await;
    for request in [
        format!("GET {ROLES} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET {ROLES}a-role HTTP/1.1\r\nHost: x\r\n\r\n"),
        "PUT /latest/api/token HTTP/1.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
            .to_owned(),
    ] {
        let answer = world.stranger().send(&request).await;
        assert!(answer.is_none(), "{answer:?}");
    }
    let refused = world.metric("imds_refused_connections_total", &[("reason", "no_record")]);
    assert_eq!(refused.await, 3);
    assert_eq!(world.metric("imds_requests_total", &[]).await, 0);
    assert!(world.log.records("request").is_empty());
    let warning = world
        .log
        .wait_for("connections refused since the last such line");
    let warning = warning.await;
    assert_eq!(
        (&warning["level"], &warning["reason"]),
        (&"WARN".into(), &"no_record".into())
    );
}

#[tokio::test]
async fn about_an_unknown_pod_nothing_is_decided() {
    let world = two_pods().arg("--default-role=fallback").start().await;
    let (answer, waited) = timed(world.client(C).get(ROLES)).await;
    assert_eq!(answer.seen(), (503, ""));
    assert!(HELD.contains(&waited), "{waited:?}");
    assert_eq!(world.refusals("pod_unknown").await, 1);
    let record = &world.log.records("request")[0];
    assert_eq!(record["outcome"], "pod_unknown");
    assert_eq!(record["uid"], C.uid());
}

/// Pod C asks, and only then appears.
async fn asks_too_early(world: &World) -> u16 {
    let client = world.client(C);
    let asked = tokio::spawn(async move { client.get(ROLES).await });
    // The connection is there: from now on the request waits for its pod.
    let open = async || world.metric("imds_open_connections", &[]).await;
    until(open, |open| *open == 1).await;
    world.write_pod(C, Some("a-role"));
    asked.await.unwrap().status
}

#[tokio::test]
async fn a_pod_that_becomes_known_while_it_waits_is_served() {
    let world = two_pods().start().await;
    for _attempt in 0..10 {
        if asks_too_early(&world).await == 200 {
            return;
        }
        // This machine is too busy to read a file within 900 ms.
        world.remove_pod(C);
        let known = async || world.metric("pods", &[]).await;
        until(known, |known| *known == 2).await;
    }
    panic!("it was never served");
}
