//! Table J: what is asked of STS, and how often.

use std::time::Duration;

use bpf2iam_standins::sts::{Code, Effect, Fault, Rule};
use serde_json::{Value, json};

use crate::{
    pod::Pod,
    wait::{leap, until},
    world::{BASE_ARN, Setup, World},
};

use super::{cluster, told, with};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const ANNOTATIONS: &str = "/metadata/annotations";

#[tokio::test]
async fn table_j_a_session_is_passed_on_as_it_came() {
    let both = json!({
        "iam.amazonaws.com/role": "a-role",
        "iam.amazonaws.com/external-id": "partner-7",
    });
    let partner = with(B.manifest(None), ANNOTATIONS, both);
    let setup = cluster([A.manifest(Some("a-role")), partner]);
    let world = setup.start().await;
    for (case, pod, external_id) in [
        ("external ID not given", A, None),
        ("external ID given", B, Some("partner-7")),
    ] {
        let keys = world.client(pod).keys("a-role").await; // which looks at Code and Type
        let issued = world.sts().issued(&keys.access_key_id).unwrap();
        assert_eq!(issued.role, format!("{BASE_ARN}a-role"), "{case}");
        assert!(keys.end_as(issued.expires), "{case}: {keys:?}");
        let secrets = world.sts().secrets();
        assert!(secrets.contains(&keys.secret_access_key), "{case}");
        assert!(secrets.contains(&keys.token), "{case}");
        let calls = world.sts().calls().entries();
        let call = calls
            .iter()
            .find(|call| call.issued.as_ref() == Some(&keys.access_key_id));
        let sent = call.unwrap().parameters.get("ExternalId");
        assert_eq!(sent.map(String::as_str), external_id, "{case}");
    }
    // kube2iam shares the keys of a role among all external IDs, and asks EC2 for its regions first.
    let calls = world.sts().calls().entries();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| call.action == "AssumeRole"));
}

#[tokio::test]
async fn table_j_who_asks_again_costs_no_call() {
    for calls in [3, 5] {
        let world = cluster([A.manifest(Some("a-role"))]).start().await;
        for _ in 0..calls {
            assert_eq!(told(&world, A, "a-role").await, "200 keys of a-role");
        }
        assert_eq!(world.calls("a-role"), 1, "{calls} calls of the same role");
    }
}

async fn denied_once(world: &World) {
    for _ in 0..2 {
        let refused = "200 AssumeRoleUnauthorizedAccess";
        assert_eq!(told(world, A, "a-role").await, refused);
    }
}

/// kube2iam keeps errors for `--iam-role-error-ttl`; here a denial stands for half a minute to a minute, and no
/// request of a pod calls STS anyway.
#[tokio::test]
async fn table_j_a_denial_is_kept_for_a_while() {
    let denied = Rule::error(Code::AccessDenied).for_role(format!("{BASE_ARN}a-role"));
    let setup = Setup::default().pod(A, "a-role").rule(denied);
    let world = setup.start().await;
    denied_once(&world).await;
    leap(Duration::from_secs(25)).await;
    denied_once(&world).await;
    world.probe().await;
    assert_eq!(world.calls("a-role"), 1, "failing calls within the time");
    leap(Duration::from_secs(40)).await;
    let calls = async || world.calls("a-role");
    until(calls, |calls| *calls == 2).await;
    denied_once(&world).await;
    assert_eq!(world.calls("a-role"), 2, "failing calls after the time");
}

#[tokio::test]
async fn table_j_errors_are_counted_by_what_they_mean() {
    let error = |code| Some(Fault::Error(code));
    for (case, fault, outcome, expected) in [
        ("nil", None, "success", "200 keys of a-role"),
        (
            "API error, denial",
            error(Code::AccessDenied),
            "denied",
            "200 AssumeRoleUnauthorizedAccess",
        ),
        // kube2iam: 500 to these. EC2 says 503 for a while, and clients know that they may come again.
        (
            "API error, too many calls",
            error(Code::Throttling),
            "throttled",
            "503",
        ),
        (
            "API error, of the service",
            error(Code::InternalFailure),
            "unavailable",
            "503",
        ),
        ("other", Some(Fault::Garbage), "unavailable", "503"),
    ] {
        let mut setup = cluster([A.manifest(Some("a-role"))]);
        if let Some(fault) = fault {
            setup = setup.rule(Rule::always(Effect::Fault(fault)));
        }
        let world = setup.start().await;
        let count = async || world.fetches(outcome).await;
        until(count, |count| *count >= 1).await;
        assert_eq!(told(&world, A, "a-role").await, expected, "{case}");
        let all = world.metric("credentials_fetches_total", &[]).await;
        assert_eq!(world.fetches(outcome).await, all, "{case}");
    }
}

/// kube2iam's sessions have the role in their names, and a hash of the address of who asked first. Ours have the pod,
/// for no other pod has the session; a pod's annotation names its own (`kiam`).
#[tokio::test]
async fn table_j_a_sessions_name_is_short_enough() {
    let on = |node: &str, name: &str, role: &str| -> Value {
        let manifest = A.manifest(Some(role));
        let manifest = with(manifest, "/metadata/name", name.into());
        with(manifest, "/spec/nodeName", node.into())
    };
    let long = "n".repeat(100);
    for (case, template, node, name, role, start) in [
        (
            "short",
            "{namespace}.{pod}",
            "node-1",
            "p",
            "a-role",
            "shop.p",
        ),
        (
            "role with path",
            "{namespace}.{pod}",
            "node-1",
            "p",
            "a/b/a-role",
            "shop.p",
        ),
        (
            "pod of 100 characters",
            "{namespace}.{pod}",
            "node-1",
            &*long,
            "a-role",
            "shop.nnnn",
        ),
        (
            "node of 100 characters",
            "bpf2iam.{node}",
            &*long,
            "p",
            "a-role",
            "bpf2iam.nnnn",
        ),
    ] {
        let setup = cluster([on(node, name, role)]).arg(format!("--node-name={node}"));
        let world = setup
            .arg(format!("--session-name={template}"))
            .start()
            .await;
        let keys = world.client(A).keys("a-role").await;
        let name = world
            .sts()
            .issued(&keys.access_key_id)
            .unwrap()
            .session_name;
        assert!(name.len() <= 64, "{case}: {name}");
        assert!(name.starts_with(start), "{case}: {name}");
    }
    // IAM has no such role, so STS is not asked.
    let world = cluster([on("node-1", "p", &"r".repeat(100))]).start().await;
    assert_eq!(told(&world, A, "").await, "404", "100-character role");
    assert_eq!(world.sts().calls().entries().len(), 0);
}
