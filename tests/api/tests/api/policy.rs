//! What the agent's account may do, by the manifests as they are shipped.

use bpf2iam_api::{account::Account, deploy::AGENT, token::Request};
use serde_json::{Value, json};

use crate::scene::{ROLE_ARN, Scene, arn};

const SECONDS_OF_A_DAY: u32 = 86_400;
/// What the account may do, and nobody else: resource and verbs.
const SHIPPED: [(&str, &str, &[&str]); 6] = [
    ("", "namespaces", &["get", "list", "watch"]),
    ("", "nodes", &["get"]),
    ("", "pods", &["get", "list", "watch"]),
    ("", "serviceaccounts", &["get", "list", "watch"]),
    ("", "serviceaccounts/token", &["create"]),
    ("events.k8s.io", "events", &["create", "patch"]),
];

/// The account, for whoever is beside the API server.
fn account(scene: &Scene) -> Account {
    let files = scene.stage.scratch().join("beside");
    let node = scene.stage.node().name();
    let (account, _pod) = scene
        .cluster
        .agent_account(&node, &files, scene.cluster.url())
        .unwrap();
    account
}

/// A request for a token that is all right.
fn token_request(pod: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": ["sts.amazonaws.com"],
            "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid },
            "expirationSeconds": SECONDS_OF_A_DAY,
        },
    })
}

#[test]
fn the_account_gets_tokens_for_sts_of_a_pod_for_a_day_and_no_others() {
    let Some(scene) = Scene::set("policy") else {
        return;
    };
    let (cluster, namespace) = (&scene.cluster, &scene.namespace);
    let account = account(&scene);
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    let node = scene.stage.node().name();
    let spec = scene.spec("till").service_account("till");
    let uid = scene.bind(&spec, &node);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "namespace": namespace, "name": "till" },
    });
    cluster.apply(&secret).unwrap();
    let uid_of = |args: &[&str]| {
        cluster.get(args).unwrap()["metadata"]["uid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let secret_uid = uid_of(&["secret/till", "--namespace", namespace]);
    let node_uid = uid_of(&[&format!("node/{node}")]);

    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/till/token");
    let good = token_request("till", &uid);
    let made = cluster.post(Some(&account), &path, &good).unwrap();
    assert!(made["status"]["token"].is_string());

    let (audience, bound, day) = (
        "audience sts.amazonaws.com only",
        "bound to a pod by its uid",
        "at most a day",
    );
    let bound_to = |kind: &str, name: &str, uid: &str| json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": uid });
    for (field, value, message) in [
        (
            "audiences",
            json!(["https://kubernetes.default.svc.cluster.local"]),
            audience,
        ),
        ("audiences", json!(["sts.amazonaws.com", "vault"]), audience),
        ("audiences", json!([]), audience),
        ("audiences", Value::Null, audience),
        ("boundObjectRef", Value::Null, bound),
        (
            "boundObjectRef",
            bound_to("Secret", "till", &secret_uid),
            bound,
        ),
        ("boundObjectRef", bound_to("Node", &node, &node_uid), bound),
        ("boundObjectRef", bound_to("Pod", "till", ""), bound),
        (
            "boundObjectRef",
            json!({ "apiVersion": "v1", "kind": "Pod", "name": "till" }),
            bound,
        ),
        ("expirationSeconds", json!(SECONDS_OF_A_DAY + 1), day),
    ] {
        let mut request = good.clone();
        request["spec"][field] = value.clone();
        let refused = cluster.post(Some(&account), &path, &request).unwrap_err();
        let said = refused.to_string();
        assert!(
            said.contains("ValidatingAdmissionPolicy") && said.contains(message),
            "{field} {value}: {said}"
        );
    }
    // The policy is for the agent only.
    let mut request = good;
    request["spec"]["audiences"] = json!(["vault"]);
    cluster.post(None, &path, &request).unwrap();
}

/// What an account may do in a namespace, sorted: a line for each resource.
fn rules(scene: &Scene, account: &Account) -> Vec<String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": { "namespace": scene.namespace },
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let review = scene.cluster.post(Some(account), path, &review).unwrap();
    assert_eq!(review["status"]["incomplete"], false);
    let status = &review["status"];
    let all = [&status["resourceRules"], &status["nonResourceRules"]];
    let all = all.into_iter().filter_map(Value::as_array).flatten();
    let mut rules: Vec<_> = all.map(Value::to_string).collect();
    rules.sort();
    rules
}

#[test]
fn the_account_may_do_what_its_rules_say_and_nothing_else() {
    let Some(scene) = Scene::set("rules") else {
        return;
    };
    let account = account(&scene);
    // What everybody may.
    let plain = scene
        .cluster
        .create_token(&scene.namespace, "default", &Request::default())
        .unwrap();
    let files = scene.stage.scratch().join("plain");
    let plain = Account::write(
        &scene.cluster,
        files,
        &scene.namespace,
        &plain,
        scene.cluster.url(),
    )
    .unwrap();
    let everybody = rules(&scene, &plain);
    let mut own = rules(&scene, &account);
    own.retain(|rule| !everybody.contains(rule));
    let mut shipped: Vec<_> = SHIPPED
        .iter()
        .map(|(group, resource, verbs)| {
            json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs }).to_string()
        })
        .collect();
    shipped.sort();
    assert_eq!(own, shipped);
    assert!(!everybody.is_empty());

    let namespace = ["--namespace", scene.namespace.as_str()];
    for args in [
        &["get", "secrets"][..],
        &["get", "nodes"],
        &["get", "configmaps"],
        &["get", "events.events.k8s.io"],
        &["run", "pod", "--image=none"],
        &["delete", "serviceaccount", "default"],
        &["annotate", "serviceaccount", "default", "a=b"],
        &["label", "namespace", scene.namespace.as_str(), "a=b"],
        &["get", "pods", "--as", "system:admin"],
    ] {
        let refused = scene
            .cluster
            .kubectl_as(Some(&account), &[args, &namespace].concat());
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("orbidden"), "{args:?}: {said}");
    }
    let mine = scene
        .cluster
        .kubectl_as(Some(&account), &["get", "pods", "--all-namespaces"]);
    assert!(mine.unwrap().contains(AGENT));
}
