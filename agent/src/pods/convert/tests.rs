use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, PodIP};

use super::*;
use crate::pods::annotation::{
    ALLOW_PATHS, DEFAULT_ROLE, IMDS_TOKENS, PERMITTED, ROLE, SESSION_POLICY,
};

const UID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const HASH: &str = "d41d8cd98f00b204e9800998ecf8427e";

fn pod(pod: api::Pod) -> Result<Pod, Invalid> {
    super::pod(pod, &Keys::default())
}

/// The least that the API server stores of a pod on a node.
fn least() -> api::Pod {
    api::Pod {
        metadata: ObjectMeta {
            name: Some("cart-0".to_owned()),
            namespace: Some("shop".to_owned()),
            uid: Some(UID.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            node_name: Some("node-1".to_owned()),
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn annotated(annotations: &[(&str, &str)]) -> api::Pod {
    let mut pod = least();
    let annotations = annotations
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    pod.metadata.annotations = Some(annotations.collect());
    pod
}

fn with_containers(mut pod: api::Pod, names: &[&str]) -> api::Pod {
    let containers = names.iter().map(|name| Container {
        name: (*name).to_owned(),
        ..Container::default()
    });
    pod.spec.get_or_insert_default().containers = containers.collect();
    pod
}

fn with_status(status: PodStatus) -> api::Pod {
    api::Pod {
        status: Some(status),
        ..least()
    }
}

#[test]
fn a_pod_without_anything_special_gets_what_the_api_server_would_fill_in() {
    let ours = pod(least()).unwrap();
    let expected = Pod {
        service_account: Some("default".to_owned()),
        ..Pod::new(UID.parse().unwrap(), PodRef::new("shop", "cart-0"))
    };
    assert_eq!(ours, expected);
    let mut nowhere = least();
    nowhere.metadata.namespace = None;
    assert_eq!(pod(nowhere).unwrap().name, PodRef::new("default", "cart-0"));
}

#[test]
fn only_annotations_that_somebody_reads_are_kept() {
    let kept = [
        "bpf2iam.io/session-duration",
        "bpf2iam.io/session-policy",
        "bpf2iam.io/session-policy-arns",
        "container.bpf2iam.io/main",
        "eks.amazonaws.com/token-expiration",
        "iam.amazonaws.com/external-id",
        "iam.amazonaws.com/role",
        "iam.amazonaws.com/session-name",
    ];
    let mut all: Vec<_> = kept.iter().map(|key| (*key, "x")).collect();
    all.extend([
        ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
        ("bpf2iam.io/else", "x"),
        ("bpf2iam.io/session-tags", "x"),
        ("container.bpf2iam.io/other", "x"),
        ("eks.amazonaws.com/role-arn", "x"),
        ("iam.amazonaws.com/else", "x"),
        ("iam.amazonaws.com", "x"),
        (CONFIG_HASH, HASH),
    ]);
    let ours = pod(with_containers(annotated(&all), &["main"])).unwrap();
    assert!(ours.annotations.keys().eq(kept), "{:?}", ours.annotations);
}

#[test]
fn a_static_pod_has_the_uid_that_its_cgroup_bears() {
    let ours = pod(annotated(&[(CONFIG_HASH, HASH), (CONFIG_MIRROR, HASH)])).unwrap();
    assert_eq!(ours.uid.to_string(), HASH);
    assert_eq!(ours.api_uid.to_string(), UID);
    assert_eq!(ours.service_account, None);
}

#[test]
fn containers_of_every_kind_are_known_once_they_were_started() {
    let status = |name: &str, id: Option<&str>| ContainerStatus {
        name: name.to_owned(),
        container_id: id.map(str::to_owned),
        ..ContainerStatus::default()
    };
    let (a, b, c) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
    let ours = pod(with_status(PodStatus {
        init_container_statuses: Some(vec![status("init", Some(&format!("containerd://{a}")))]),
        container_statuses: Some(vec![
            status("main", Some(&format!("cri-o://{b}"))),
            status("slow", None),
            status("empty", Some("")),
            status("odd", Some("containerd://short")),
        ]),
        ephemeral_container_statuses: Some(vec![status("debug", Some(&format!("docker://{c}")))]),
        ..PodStatus::default()
    }))
    .unwrap();
    for (id, name) in [(&a, Some("init")), (&b, Some("main")), (&c, Some("debug"))] {
        assert_eq!(ours.container(id.parse().unwrap()), name);
    }
    assert_eq!(ours.containers.len(), 3);
}

#[test]
fn so_many_containers_may_have_a_role_of_their_own_and_no_more() {
    let names: Vec<_> = (0..33).map(|at| format!("c{at}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let keys: Vec<_> = (0..5000)
        .map(|at| format!("container.bpf2iam.io/c{at}"))
        .collect();
    let all: Vec<_> = keys.iter().map(|key| (key.as_str(), "role")).collect();
    let with = |number: usize| pod(with_containers(annotated(&all), &names[..number]));
    assert_eq!(with(32).unwrap().annotations.len(), 32);
    let error = with(33).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metadata.annotations: more than 32 of them begin with container.bpf2iam.io/"
    );
}

#[test]
fn what_is_too_long_to_mean_something_is_cut_and_stays_wrong() {
    let long = format!(
        "arn:aws:iam::123456789012:role/{}/r",
        "\u{e9}".repeat(100_000)
    );
    let ours = pod(annotated(&[(ROLE, &long)])).unwrap();
    let kept = &ours.annotations[ROLE];
    assert!((2000..2100).contains(&kept.len()), "{}", kept.len());
    assert!(kept.parse::<crate::id::RoleArn>().is_err());
    let policy = [("x", 4097), ("\u{e9}", 4098), ("\u{1f600}", 4100)];
    for (filling, length) in policy {
        let long = [(SESSION_POLICY, &*filling.repeat(100_000))];
        let ours = pod(annotated(&long)).unwrap();
        assert_eq!(ours.annotations[SESSION_POLICY].len(), length, "{filling}");
    }
    let annotations = BTreeMap::from([
        (PERMITTED.to_owned(), "x".repeat(100_000)),
        (DEFAULT_ROLE.to_owned(), "x".repeat(100_000)),
        (IMDS_TOKENS.to_owned(), "x".repeat(100_000)),
        (ALLOW_PATHS.to_owned(), "x".repeat(100_000)),
        (ROLE.to_owned(), "x".to_owned()),
    ]);
    let metadata = ObjectMeta {
        annotations: Some(annotations),
        ..ObjectMeta::default()
    };
    let ours = namespace(&metadata, &Keys::default());
    let lengths: Vec<_> = ours.annotations().values().map(String::len).collect();
    assert_eq!(lengths, [4097, 2049, 33, (16 << 10) + 1]);
    assert!(service_account_of(&metadata).annotations.is_empty());
}

#[test]
fn annotations_are_kept_whatever_the_operator_calls_them() {
    let keys = Keys {
        role: "example.org/role".to_owned(),
        ..Keys::default()
    };
    let ours = super::pod(
        annotated(&[("example.org/role", "a"), ("example.org/id", "b")]),
        &keys,
    );
    assert!(ours.unwrap().annotations.keys().eq(["example.org/role"]));
}

#[test]
fn a_hash_on_a_pod_that_stands_for_no_other_means_nothing() {
    let ours = pod(annotated(&[(CONFIG_HASH, HASH)])).unwrap();
    assert_eq!(ours.uid.to_string(), UID);
    assert_eq!(ours.service_account.as_deref(), Some("default"));
}

#[test]
fn nobody_passes_for_another_pod_by_an_annotation() {
    for hash in [UID, "", "d41d8cd9", &HASH.to_uppercase()] {
        let error = pod(annotated(&[(CONFIG_HASH, hash), (CONFIG_MIRROR, hash)])).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "metadata.annotations[\"{CONFIG_HASH}\"]: {hash:?} is not a hash of 32 hexadecimal digits"
            )
        );
    }
}

#[test]
fn all_addresses_are_taken_the_older_field_only_alone() {
    let ip = |text: &str| PodIP {
        ip: text.to_owned(),
    };
    for (pod_ip, pod_ips, expected) in [
        (None, None, &[][..]),
        (Some("10.0.0.7"), None, &["10.0.0.7"]),
        (Some("10.0.0.7"), Some(vec![]), &["10.0.0.7"]),
        (
            Some("10.0.0.7"),
            Some(vec![ip("10.0.0.7"), ip("fd00::7")]),
            &["10.0.0.7", "fd00::7"],
        ),
    ] {
        let ours = pod(with_status(PodStatus {
            pod_ip: pod_ip.map(str::to_owned),
            pod_ips,
            ..PodStatus::default()
        }));
        let ips: Vec<_> = ours.unwrap().ips.iter().map(ToString::to_string).collect();
        assert_eq!(ips, expected);
    }
    let error = pod(with_status(PodStatus {
        pod_ip: Some("10.0.0.256".to_owned()),
        ..PodStatus::default()
    }))
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "status.podIP: \"10.0.0.256\" is not an IP address"
    );
}

#[test]
fn names_are_those_that_the_api_server_takes() {
    let longest = format!("{}.{}", "a".repeat(126), "b".repeat(126));
    for (text, good) in [
        ("cart-0", true),
        ("0", true),
        ("a.b-c.d", true),
        (longest.as_str(), true),
        (&format!("{longest}c"), false),
        ("", false),
        ("Cart", false),
        ("a_b", false),
        ("a..b", false),
        (".a", false),
        ("-a", false),
        ("a-", false),
        ("a/b", false),
        ("caf\u{e9}", false),
        ("a\n", false),
    ] {
        let mut named = least();
        named.metadata.name = Some(text.to_owned());
        assert_eq!(pod(named).is_ok(), good, "{text:?}");
    }
    for (text, good) in [
        ("a".repeat(63), true),
        ("a".repeat(64), false),
        ("a.b".to_owned(), false),
    ] {
        let mut named = least();
        named.metadata.namespace = Some(text);
        assert_eq!(pod(named).is_ok(), good);
    }
}

#[test]
fn a_pod_of_another_node_or_one_that_has_ended_is_skipped_for_a_reason() {
    let phase = |phase: &str| {
        with_status(PodStatus {
            phase: Some(phase.to_owned()),
            ..PodStatus::default()
        })
    };
    for (pod, reason) in [
        (least(), None),
        (phase("Pending"), None),
        (phase("Running"), None),
        (phase("Unknown"), None),
        (phase("Succeeded"), Some("it has ended: Succeeded")),
        (phase("Failed"), Some("it has ended: Failed")),
    ] {
        let skipped = skip(&pod, Some("node-1")).map(|skip| skip.to_string());
        assert_eq!(skipped.as_deref(), reason);
        let elsewhere = skip(&pod, Some("node-2")).map(|skip| skip.to_string());
        assert_eq!(elsewhere.as_deref(), Some("it is bound to the node node-1"));
    }
    let unbound = skip(&api::Pod::default(), Some("node-1")).unwrap();
    assert_eq!(unbound.to_string(), "it is bound to no node");
}
