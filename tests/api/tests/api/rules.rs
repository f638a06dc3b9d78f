//! Each shipped rule is needed: without it the agent says which, and what to apply.

use bpf2iam_api::{account::Account, deploy::AGENT, object::unique, token::Request};
use bpf2iam_support::process::Process;
use serde_json::{Value, json};

use crate::scene::{NEAR, ROLE, ROLE_ARN, Scene, arn, wait_for_record};

/// The rules of a `ClusterRole` as it is shipped.
pub(crate) fn shipped(scene: &Scene, name: &str) -> Vec<Value> {
    let role = scene.cluster.get(&["clusterrole", name]).unwrap();
    role["rules"].as_array().unwrap().clone()
}

/// Gives another account these rules, in place of those that it had.
pub(crate) fn allow(scene: &Scene, name: &str, rules: &[Value]) {
    for object in [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": name },
            "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
            "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": scene.namespace }],
        }),
    ] {
        scene.cluster.apply(&object).unwrap();
    }
}

#[track_caller]
fn assert_says(agent: &Process, words: &[&str]) {
    wait_for_record(agent, |record| {
        let text = record.to_string();
        record["level"] == "WARN" && words.iter().all(|word| text.contains(word))
    });
}

#[test]
fn without_one_of_its_rules_the_agent_says_which_one() {
    let Some(mut scene) = Scene::set("lacking") else {
        return;
    };
    let token = scene
        .cluster
        .create_token(&scene.namespace, "default", &Request::default())
        .unwrap();
    let files = scene.stage.scratch().join("lacking");
    scene.account = Account::write(&scene.cluster, files, &scene.namespace, &token, NEAR).unwrap();
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    let _till = scene.add(scene.spec("till").service_account("till"));
    let _wrong = scene.add(scene.spec("wrong").annotation(ROLE, "two words"));

    let name = unique("lacking");
    let (basic, tokens) = (
        shipped(&scene, AGENT),
        shipped(&scene, "bpf2iam-web-identity"),
    );
    let all = [basic, tokens].concat();
    assert_eq!(all.len(), 6);
    for lacking in &all {
        let resource = lacking["resources"][0].as_str().unwrap();
        let rest: Vec<_> = all
            .iter()
            .filter(|rule| *rule != lacking)
            .cloned()
            .collect();
        allow(&scene, &name, &rest);
        // What a node is called is of interest where it has no metadata service of its own.
        let agent = match resource {
            "nodes" => scene.spawn(&["--metadata-addr=off"]),
            _ => scene.spawn(&[]),
        };
        match resource {
            "pods" | "namespaces" | "serviceaccounts" => {
                assert_says(
                    &agent,
                    &[
                        "forbidden",
                        "list and watch of",
                        resource,
                        "deploy/manifests/1-rbac.yaml",
                    ],
                );
            }
            "nodes" => assert_says(
                &agent,
                &["may not get nodes", "deploy/manifests/1-rbac.yaml"],
            ),
            "events" => assert_says(
                &agent,
                &[
                    "create",
                    "patch",
                    "events.events.k8s.io",
                    "deploy/manifests/1-rbac.yaml",
                ],
            ),
            _ => assert_says(
                &agent,
                &["create", resource, "deploy/manifests/2-web-identity.yaml"],
            ),
        }
    }
    allow(&scene, &name, &all);
    let _agent = scene.start(&[]);
    for kind in ["clusterrolebinding", "clusterrole"] {
        scene.cluster.kubectl(&["delete", kind, &name]).unwrap();
    }
}
