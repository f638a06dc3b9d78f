//! Table G: what pods, and people, are told over HTTP.

use bpf2iam::{
    args::{Args, Command},
    pods::restriction::Format,
    status::Role,
};
use bpf2iam_standins::sts::{Code, Rule};
use clap::Parser as _;
use serde_json::json;

use crate::{
    client::ROLES,
    pod::Pod,
    wait::{HELD, timed},
    world::{BASE_ARN, Setup},
};

use super::{ABROAD, cluster, cluster_with, told};

const NAMED: Pod = Pod::new(1);
const ABROAD_POD: Pod = Pod::new(2);
const DENIED: Pod = Pod::new(3);
const BARE: Pod = Pod::new(4);
const UNKNOWN: Pod = Pod::new(5);

#[tokio::test]
async fn table_g_roles_are_listed_and_their_keys_given() {
    let denied = Rule::error(Code::AccessDenied).for_role(format!("{BASE_ARN}denied"));
    let world = cluster([
        NAMED.manifest(Some("path/a-role")),
        ABROAD_POD.manifest(Some(ABROAD)),
        DENIED.manifest(Some("denied")),
    ])
    .rule(denied)
    .start()
    .await;
    world.settles(3).await;
    for (case, pod, name, expected) in [
        // kube2iam has the path in it. EC2's list has names alone.
        ("list, annotated, same account", NAMED, "", "200 a-role"),
        // kube2iam lists the whole ARN.
        ("list, cross-account", ABROAD_POD, "", "200 other"),
        ("list, unknown pod", UNKNOWN, "", "404"),
        (
            "credentials, name equals annotation",
            NAMED,
            "a-role",
            "200 keys of path/a-role",
        ),
        // kube2iam: 403. EC2 takes the slash.
        (
            "credentials, with a slash behind the name",
            NAMED,
            "a-role/",
            "200 keys of path/a-role",
        ),
        (
            "credentials, cross-account",
            ABROAD_POD,
            "other",
            "200 keys of arn:aws:iam::999999999999:role/path/other",
        ),
        ("credentials, by an ARN", ABROAD_POD, ABROAD, "404"),
        // kube2iam: 403. On EC2 no other name is there, and for several clients a 403 is an end.
        ("credentials, other name", NAMED, "other", "404"),
        ("credentials, unknown pod", UNKNOWN, "a-role", "404"),
        // kube2iam: 500 to both, and STS's words. EC2 explains a role that cannot be assumed; the list says so already.
        ("list, AccessDenied of STS", DENIED, "", "404"),
        (
            "credentials, AccessDenied of STS",
            DENIED,
            "denied",
            "200 AssumeRoleUnauthorizedAccess",
        ),
    ] {
        assert_eq!(told(&world, pod, name).await, expected, "{case}");
    }
    for (reason, number) in [
        ("pod_elsewhere", 2),
        ("other_role", 1),
        ("path", 1),
        ("denied", 1),
    ] {
        assert!(world.refusals(reason).await >= number, "{reason}");
    }
}

#[tokio::test]
async fn table_g_the_list_leads_to_the_keys() {
    let world = cluster([NAMED.manifest(Some("path/a-role"))]).start().await;
    let list = world.client(NAMED).get(ROLES).await;
    let keys = world.client(NAMED).keys(&list.body).await;
    assert_eq!(keys.code, "Success");
    assert!(world.sts().issued(&keys.access_key_id).is_some());
}

/// Without an API server there is nobody who could say that a pod is not there: it may come.
#[tokio::test]
async fn table_g_where_nobody_can_be_asked_an_unknown_pod_waits() {
    let world = Setup::default().start().await;
    let asked = async { tokio::join!(told(&world, UNKNOWN, ""), told(&world, UNKNOWN, "a-role")) };
    let ((list, keys), waited) = timed(asked).await;
    assert_eq!((&*list, &*keys), ("503", "503"));
    assert!(HELD.contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn table_g_restrictions_are_kept_at_the_list_and_at_the_keys() {
    let allowed = json!({"iam.amazonaws.com/allowed-roles": r#"["a-*"]"#});
    let pods = [NAMED.manifest(Some("a-role")), BARE.manifest(Some("b"))];
    let setup = cluster_with(&allowed, pods).arg("--namespace-restrictions");
    let world = setup.start().await;
    for (case, pod, name, expected) in [
        ("role allowed, list", NAMED, "", "200 a-role"),
        (
            "role allowed, credentials",
            NAMED,
            "a-role",
            "200 keys of a-role",
        ),
        ("role not allowed, list", BARE, "", "404"),
        ("role not allowed, credentials", BARE, "b", "404"),
    ] {
        assert_eq!(told(&world, pod, name).await, expected, "{case}");
    }
    assert_eq!(world.calls("b"), 0);
    assert_eq!(world.refusals("forbidden").await, 2);
}

/// kube2iam's health is that of the node's metadata service: when that does not answer, all of its agents are started
/// anew, and pods have none meanwhile. Ours says that the process lives, and another page whether it can serve.
#[tokio::test]
async fn table_g_health_is_good_or_bad() {
    let setup = Setup::default().pod(NAMED, None).sts_is_down();
    let mut world = setup.open().await.unwrap();
    for (case, path, status, says) in [
        ("healthz good", "/healthz", 200, ""),
        ("healthz bad", "/readyz", 503, "programs to be attached"),
    ] {
        let answer = world.admin(path).await;
        assert_eq!(answer.status, status, "{case}");
        assert!(answer.body.contains(says), "{case}: {answer:?}");
    }
    world.serve();
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.admin(path).await.status, 200, "{path}");
    }
    // Pods read neither.
    assert_eq!(world.client(NAMED).get("/healthz").await.status, 404);
}

/// There is no page of it, to pods least of all: the control socket is root's alone.
#[tokio::test]
async fn table_g_the_store_is_shown_to_the_operator() {
    let setup = Setup::default().pod(NAMED, "a-role").pod(BARE, None);
    let world = setup.arg("--debug").start().await;
    let status = world.status().await;
    let mut shown: Vec<_> = status
        .pods
        .iter()
        .map(|pod| {
            let role = match &pod.role {
                Role::Bound { role, .. } => role.name(),
                Role::Other { .. } => "the node's",
                Role::None { .. } => "none",
            };
            (&*pod.namespace, &*pod.name, role)
        })
        .collect();
    shown.sort_unstable();
    let expected = [("shop", "pod-1", "a-role"), ("shop", "pod-4", "none")];
    assert_eq!(shown, expected);
    assert_eq!(world.admin("/debug/store").await.status, 404);
    assert!(world.client(NAMED).get("/debug/store").await.is_absent());
}

#[test]
fn table_g_defaults_are_kube2iams_but_for_ports() {
    let line = ["bpf2iam", "run", "--pods=kube", "--cgroup-root=/"];
    let Command::Run(run) = Args::try_parse_from(line).unwrap().command else {
        panic!("not run");
    };
    assert_eq!(run.roles.namespace_restriction_format, Format::Glob);
    let config = Setup::default().config().unwrap().to_string();
    let config = format!("{config} ");
    for (case, setting) in [
        // kube2iam: 8181 of all addresses, where everybody reads metrics and what else there is.
        ("port", "--listen-port=0"),
        ("metadata address", "--metadata-addr=http://169.254.169.254"),
        ("annotation key", "--iam-role-key=iam.amazonaws.com/role"),
        (
            "key of the external ID",
            "--iam-external-id=iam.amazonaws.com/external-id",
        ),
        (
            "namespace key",
            "--namespace-key=iam.amazonaws.com/allowed-roles",
        ),
        ("restrictions", "--namespace-restrictions=off"),
    ] {
        assert!(config.contains(&format!("{setting} ")), "{case}: {config}");
    }
}
