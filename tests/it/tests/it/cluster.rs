//! Which pod gets which role, where pods come from an API server.

use bpf2iam::{
    control,
    explain::{Explanation, Outcome, Question, Supposition},
};
use bpf2iam_standins::apiserver::{Interrupt, Kind, Rule};
use serde_json::{Value, json};

use crate::{
    client::ROLES,
    pod::{NAMESPACE, Pod},
    wait::{HELD, timed, until},
    world::{BASE_ARN, Setup, World},
};

const A: Pod = Pod::new(1);
const B: Pod = Pod::new(2);
const C: Pod = Pod::new(3);

fn object(kind: &str, name: &str, annotations: &Value) -> Value {
    let namespace = (kind != "Namespace").then_some(NAMESPACE);
    json!({
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
    })
}

/// The namespace of the pods.
fn namespace(annotations: &Value) -> Value {
    object("Namespace", NAMESPACE, annotations)
}

fn account(name: &str, annotations: &Value) -> Value {
    object("ServiceAccount", name, annotations)
}

fn with_account(pod: Pod, account: &str) -> Value {
    let mut manifest = pod.manifest(None);
    manifest["spec"]["serviceAccountName"] = account.into();
    manifest
}

fn annotated(pod: Pod, annotations: &Value) -> Value {
    let mut manifest = pod.manifest(None);
    manifest["metadata"]["annotations"] = annotations.clone();
    manifest
}

/// A namespace that says nothing, and pods in it.
fn cluster(pods: impl IntoIterator<Item = Value>) -> Setup {
    let around = [namespace(&json!({})), account("default", &json!({}))];
    Setup::default().cluster(around.into_iter().chain(pods))
}

/// What a pod is told at the list of roles.
async fn told(world: &World, pod: Pod) -> (u16, String) {
    let answer = world.client(pod).get(ROLES).await;
    match answer.status {
        200 => (200, answer.body),
        status => (status, String::new()),
    }
}

async fn until_told(world: &World, pod: Pod, wanted: (u16, &str)) {
    let wanted = (wanted.0, wanted.1.to_owned());
    until(async || told(world, pod).await, |seen| *seen == wanted).await;
}

#[tokio::test]
async fn the_first_rule_that_says_something_decides() {
    let other = json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}accounts")});
    let world = Setup::default()
        .cluster([
            namespace(&json!({"bpf2iam.io/default-role": "namespaces"})),
            account("default", &json!({})),
            account("till", &other),
            A.manifest(Some("pods")),
            with_account(B, "till"),
            C.manifest(None),
        ])
        .args(["--default-role=fallback", "--credentials=assume-role"])
        .start()
        .await;
    for (pod, role) in [(A, "pods"), (B, "accounts"), (C, "namespaces")] {
        until_told(&world, pod, (200, role)).await;
    }
    world.api().put(namespace(&json!({}))).unwrap();
    until_told(&world, C, (200, "fallback")).await;
}

#[tokio::test]
async fn what_is_changed_or_removed_counts_from_the_next_request_on() {
    let world = cluster([A.manifest(Some("first"))]).start().await;
    until_told(&world, A, (200, "first")).await;
    for (role, wanted) in [
        (Some("second"), (200, "second")),
        (Some("no role"), (404, "")),
        (Some("third"), (200, "third")),
        (None, (404, "")),
    ] {
        world.api().put(A.manifest(role)).unwrap();
        until_told(&world, A, wanted).await;
    }
    world.api().put(A.manifest(Some("last"))).unwrap();
    until_told(&world, A, (200, "last")).await;
    let deleted = world.api().delete(Kind::Pod, NAMESPACE, &A.name());
    deleted.unwrap();
    until_told(&world, A, (404, "")).await;
    assert!(world.refusals("pod_elsewhere").await >= 1);
}

#[tokio::test]
async fn a_pod_that_the_watch_is_late_with_is_looked_up() {
    let world = cluster([A.manifest(Some("a-role"))]).start().await;
    until_told(&world, A, (200, "a-role")).await;
    world.api().watches().wait_for(Kind::Pod, 1).await;
    world.api().put_quietly(B.manifest(Some("b-role"))).unwrap();
    assert_eq!(told(&world, B).await, (200, "b-role".to_owned()));
    // It serves who asked, and nothing else: only the watch knows the order of things.
    assert_eq!(world.status().await.pods.len(), 1);
}

#[tokio::test]
async fn a_pod_of_another_node_or_one_that_has_ended_gets_nothing_and_never_the_default() {
    let mut elsewhere = A.manifest(Some("a-role"));
    elsewhere["spec"]["nodeName"] = "node-2".into();
    let mut ended = B.manifest(Some("b-role"));
    ended["status"]["phase"] = "Succeeded".into();
    let setup = cluster([elsewhere, ended]).arg("--default-role=fallback");
    let world = setup.start().await;
    for pod in [A, B, C] {
        assert_eq!(told(&world, pod).await.0, 404, "{pod:?}");
    }
    assert_eq!(world.refusals("pod_elsewhere").await, 3);
    assert_eq!(world.calls("fallback"), 0);
}

#[tokio::test]
async fn while_the_api_server_is_away_known_pods_have_their_roles_and_others_wait() {
    let setup = cluster([A.manifest(Some("a-role"))]).arg("--default-role=fallback");
    let world = setup.start().await;
    until_told(&world, A, (200, "a-role")).await;
    world.api().refuse().await;
    let (answer, after) = timed(told(&world, B)).await;
    assert_eq!(answer, (503, String::new()));
    assert!(HELD.contains(&after), "{after:?}");
    assert_eq!(told(&world, A).await, (200, "a-role".to_owned()));
    world.api().put(B.manifest(Some("b-role"))).unwrap();
    world.api().accept().unwrap();
    until_told(&world, B, (200, "b-role")).await;
    assert_eq!(world.calls("fallback"), 0);
}

#[tokio::test]
async fn a_namespace_that_is_not_known_leaves_its_pods_unsure() {
    let setup = cluster([]).arg("--default-role=fallback");
    let world = setup.start().await;
    let in_bank = |mut object: Value| {
        object["metadata"]["namespace"] = "bank".into();
        object
    };
    let bank = json!({"bpf2iam.io/default-role": "bankers"});
    let api = world.api();
    api.watches().wait_for(Kind::Namespace, 1).await;
    api.rules()
        .add(Rule::status(403).for_path("/api/v1/namespaces/bank"));
    api.put_quietly(object("Namespace", "bank", &bank)).unwrap();
    api.put(in_bank(account("default", &json!({})))).unwrap();
    api.put(in_bank(A.manifest(None))).unwrap();
    api.put(in_bank(B.manifest(Some("b-role")))).unwrap();
    // The role that a pod names itself does not depend on it; whether tokens are needed does.
    let token = world.client(B).token().await;
    let with_token = async || world.client(B).get_with(ROLES, &token).await;
    until(with_token, |answer| answer.body == "b-role").await;
    for pod in [A, B] {
        let (answer, after) = timed(told(&world, pod)).await;
        assert_eq!(answer, (503, String::new()), "{pod:?}");
        assert!(HELD.contains(&after), "{after:?}");
    }
    api.rules().clear();
    assert_eq!(told(&world, A).await, (200, "bankers".to_owned()));
    assert_eq!(told(&world, B).await, (200, "b-role".to_owned()));
    assert_eq!(world.calls("fallback"), 0);
}

#[tokio::test]
async fn a_namespace_restricts_its_pods_and_a_broken_list_allows_nothing() {
    let allowed = |list: &str| namespace(&json!({"iam.amazonaws.com/allowed-roles": list}));
    let world = Setup::default()
        .cluster([
            allowed(r#"["a-*"]"#),
            A.manifest(Some("a-role")),
            B.manifest(Some("b-role")),
        ])
        .arg("--namespace-restrictions")
        .start()
        .await;
    until_told(&world, A, (200, "a-role")).await;
    assert_eq!(told(&world, B).await.0, 404);
    world.api().put(allowed(r#"["b-role""#)).unwrap();
    until_told(&world, A, (404, "")).await;
    assert_eq!(told(&world, B).await.0, 404);
    world.api().put(allowed(r#"["b-role"]"#)).unwrap();
    until_told(&world, B, (200, "b-role")).await;
    assert_eq!(told(&world, A).await.0, 404);
    assert!(world.refusals("forbidden").await >= 4);
}

#[tokio::test]
async fn a_pod_that_was_made_anew_under_its_name_and_address_is_another() {
    let world = cluster([A.manifest(Some("a-role"))]).start().await;
    until_told(&world, A, (200, "a-role")).await;
    let mut anew = B.manifest(Some("b-role"));
    anew["metadata"]["name"] = A.name().into();
    let deleted = world.api().delete(Kind::Pod, NAMESPACE, &A.name());
    deleted.unwrap();
    world.api().put(anew).unwrap();
    until_told(&world, B, (200, "b-role")).await;
    until_told(&world, A, (404, "")).await;
}

#[tokio::test]
async fn two_pods_that_have_the_same_address_are_told_apart_by_their_cgroups() {
    let both = json!([{"ip": A.address()}, {"ip": B.address()}]);
    let with_both = |pod: Pod, role| {
        let mut manifest = pod.manifest(role);
        manifest["status"]["podIPs"] = both.clone();
        manifest
    };
    let pods = [with_both(A, Some("a-role")), with_both(B, Some("b-role"))];
    let world = cluster(pods).start().await;
    until_told(&world, A, (200, "a-role")).await;
    until_told(&world, B, (200, "b-role")).await;
    world.api().put(with_both(A, None)).unwrap();
    until_told(&world, A, (404, "")).await;
    assert_eq!(told(&world, B).await, (200, "b-role".to_owned()));
}

#[tokio::test]
async fn under_the_name_of_another_node_nobody_gets_a_role() {
    let setup = cluster([A.manifest(Some("a-role")), B.manifest(None)]);
    let setup = setup.args(["--node-name=renamed", "--default-role=fallback"]);
    let world = setup.start().await;
    for pod in [A, B, C] {
        assert_eq!(told(&world, pod).await.0, 404, "{pod:?}");
    }
    assert_eq!(world.status().await.pods.len(), 0);
    assert_eq!(world.refusals("pod_elsewhere").await, 3);
    assert_eq!(world.calls("a-role") + world.calls("fallback"), 0);
}

#[tokio::test]
async fn a_service_account_that_is_made_anew_never_leaves_its_pods_with_the_default_role() {
    let arn = json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}tills")});
    let setup = cluster([account("till", &arn), with_account(A, "till")]);
    let setup = setup.args(["--default-role=fallback", "--credentials=assume-role"]);
    let world = setup.start().await;
    until_told(&world, A, (200, "tills")).await;
    let api = world.api();
    let deleted = api.delete(Kind::ServiceAccount, NAMESPACE, "till");
    deleted.unwrap();
    until_told(&world, A, (503, "")).await;
    api.put(account("till", &arn)).unwrap();
    until_told(&world, A, (200, "tills")).await;
    assert_eq!(world.calls("fallback"), 0);
}

#[tokio::test]
async fn while_the_watch_of_service_accounts_fails_those_of_new_pods_are_looked_up() {
    let role = |name: &str| json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}{name}")});
    let setup = cluster([account("till", &role("old")), with_account(A, "till")]);
    let world = setup.arg("--credentials=assume-role").start().await;
    until_told(&world, A, (200, "old")).await;
    let api = world.api();
    let watch = Rule::status(500).for_path("/api/v1/serviceaccounts");
    api.rules().add(watch);
    api.interrupt(Kind::ServiceAccount, Interrupt::Break);
    let failures = async || {
        let labels = [("kind", "serviceaccounts")];
        world.metric("watch_failures_total", &labels).await
    };
    until(failures, |failures| *failures >= 2).await;
    api.put(account("till", &role("new"))).unwrap();
    api.put(with_account(B, "till")).unwrap();
    until(async || world.status().await.pods.len(), |pods| *pods == 2).await;
    assert_eq!(told(&world, B).await, (200, "new".to_owned()));
    assert_eq!(told(&world, A).await, (200, "old".to_owned()));
    api.rules().clear();
    until_told(&world, A, (200, "new")).await;
    until_told(&world, B, (200, "new")).await;
}

#[tokio::test]
async fn a_static_pod_is_found_by_its_hash() {
    let hash = A.uid().replace('-', "");
    let mirror = |hash: &str| {
        let mut mirror = annotated(
            B,
            &json!({
                "kubernetes.io/config.hash": hash,
                "kubernetes.io/config.mirror": hash,
                "iam.amazonaws.com/role": "a-role",
            }),
        );
        mirror["spec"]["serviceAccountName"] = "".into();
        mirror
    };
    // Its cgroup is called by the hash; in these tests cgroups are called by UIDs, which no hash may pass for.
    let world = cluster([mirror(&hash)]).start().await;
    until(async || world.status().await.pods.len(), |pods| *pods == 1).await;
    assert_eq!(world.status().await.pods[0].uid.to_string(), hash);
    assert_eq!(told(&world, A).await.0, 404);
    assert_eq!(told(&world, B).await.0, 404);
}

#[tokio::test]
async fn a_container_with_a_role_of_its_own_is_waited_for() {
    let own = json!({"container.bpf2iam.io/app": "apps", "iam.amazonaws.com/role": "pods"});
    let world = cluster([annotated(A, &own)]).start().await;
    let (answer, after) = timed(told(&world, A)).await;
    assert_eq!(answer, (503, String::new()));
    assert!(HELD.contains(&after), "{after:?}");
    let started = |name: &str| {
        let mut manifest = annotated(A, &own);
        let id = format!("containerd://{}", A.container());
        manifest["status"]["containerStatuses"] = json!([{"name": name, "containerID": id}]);
        world.api().put(manifest).unwrap();
    };
    started("app");
    until_told(&world, A, (200, "apps")).await;
    started("other");
    until_told(&world, A, (200, "pods")).await;
}

async fn explained(world: &World, question: &Question) -> Explanation {
    let client = control::Client::new(&world.runtime_dir());
    client.explain(question).await.unwrap()
}

fn role(explanation: &Explanation) -> &str {
    match &explanation.cases.last().unwrap().outcome {
        Outcome::Role { role, .. } => role.strip_prefix(BASE_ARN).unwrap(),
        Outcome::Nothing { .. } => "nothing",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Node { .. } => "the node's",
    }
}

#[tokio::test]
async fn a_pod_is_explained_as_it_is_and_as_it_would_be() {
    let arn = |role: &str| json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}{role}")});
    let world = cluster([
        A.manifest(Some("pods")),
        account("till", &arn("tills")),
        account("kiosk", &arn("kiosks")),
        with_account(B, "till"),
    ])
    .args(["--default-role=fallback", "--credentials=assume-role"])
    .start()
    .await;
    until_told(&world, A, (200, "pods")).await;
    until_told(&world, B, (200, "tills")).await;
    let asked = |suppositions: &[Supposition]| Question {
        suppositions: suppositions.to_vec(),
        ..A.full_name().parse().unwrap()
    };
    let gone = Supposition::annotation("iam.amazonaws.com/role-").unwrap();
    let runs_as = |name: &str| Supposition::ServiceAccount(name.to_owned());
    for (suppositions, expected) in [
        (vec![], "pods"),
        (vec![Supposition::Role("x".to_owned())], "x"),
        (vec![gone.clone()], "fallback"),
        (vec![gone.clone(), runs_as("till")], "tills"),
        (vec![gone.clone(), runs_as("kiosk")], "kiosks"),
        (vec![gone.clone(), runs_as("nobody")], "fallback"),
        (vec![runs_as("kiosk")], "pods"),
    ] {
        let explanation = explained(&world, &asked(&suppositions)).await;
        assert_eq!(role(&explanation), expected, "{suppositions:?}");
    }
    // Nothing of it was more than talk.
    assert_eq!(told(&world, A).await, (200, "pods".to_owned()));
    assert_eq!(world.calls("kiosks"), 0);
    world.api().rules().add(Rule::status(500));
    let unsure = asked(&[gone, runs_as("other")]);
    assert_eq!(role(&explained(&world, &unsure).await), "unknown");
}
