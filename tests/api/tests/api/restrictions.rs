//! What a namespace does not allow, and what people are told of a role that a pod does not get.

use bpf2iam_support::Pod;
use serde_json::{Value, json};

use crate::scene::{NOTHING, ROLE, ROLE_ARN, Scene, arn, assert_role, assert_status, role, wait};

const ALLOWED: &str = "iam.amazonaws.com/allowed-roles";

/// The Event about a pod that has a reason.
fn event(scene: &Scene, pod: &Pod, reason: &str) -> Value {
    let list = ["events.events.k8s.io", "--namespace", &pod.spec().namespace];
    wait(&format!("the Event {reason} on {}", pod.spec()), || {
        let list = scene.cluster.get(&list).unwrap();
        let mut events = list["items"].as_array().unwrap().iter();
        let is_it =
            |event: &&Value| event["regarding"]["uid"] == pod.uid() && event["reason"] == reason;
        events.find(is_it).cloned()
    })
}

#[track_caller]
fn assert_about(event: &Value, pod: &Pod, words: &[&str]) {
    let spec = pod.spec();
    let regarding = json!({
        "apiVersion": "v1", "kind": "Pod", "namespace": spec.namespace, "name": spec.name, "uid": pod.uid(),
    });
    assert_eq!(event["regarding"], regarding);
    for (field, value) in [
        ("type", "Warning"),
        ("reportingController", "bpf2iam.io/agent"),
        ("reportingInstance", pod.node()),
        ("action", "GiveCredentials"),
    ] {
        assert_eq!(event[field], value, "{event:#}");
    }
    let note = event["note"].as_str().unwrap();
    for word in words {
        assert!(note.contains(word), "no {word} in {note}");
    }
}

#[test]
fn a_role_that_the_namespace_does_not_allow_is_refused_and_the_pod_says_why() {
    let Some(scene) = Scene::set("restricted") else {
        return;
    };
    let namespace = format!("namespace/{}", scene.namespace);
    let annotate = |annotation: &str| {
        let annotated = scene.cluster.annotate("", &namespace, &[annotation]);
        annotated.unwrap();
    };
    annotate(&format!(r#"{ALLOWED}=["cart*"]"#));
    let [cart, till] =
        ["cart-0", "till"].map(|name| scene.add(scene.spec(name).annotation(ROLE, name)));
    let _agent = scene.start(&["--namespace-restrictions"]);
    assert_role(&scene.settled(&cart.place()), "cart-0");
    assert_status(&scene.ask(&till.place()), 404);
    let told = event(&scene, &till, "RoleForbidden");
    assert_about(&told, &till, &[&arn("till"), ALLOWED, &scene.namespace]);

    annotate(&format!(r#"{ALLOWED}=["cart*""#));
    scene.changes(&cart.place(), role("cart-0"), NOTHING);
    let told = event(&scene, &cart, "InvalidAnnotation");
    assert_about(&told, &cart, &[ALLOWED, &scene.namespace]);

    annotate(&format!(r#"{ALLOWED}=["till"]"#));
    scene.changes(&till.place(), NOTHING, role("till"));
    event(&scene, &cart, "RoleForbidden");
}

#[test]
fn a_role_that_sts_refuses_and_an_annotation_that_means_nothing_are_told_on_the_pod() {
    let Some(scene) = Scene::set("refused") else {
        return;
    };
    let rule = json!([{ "role": arn("cart"), "do": { "fault": { "error": "AccessDenied" } } }]);
    scene.stage.set_sts_rules(&rule).unwrap();
    let cart = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
    let wrong = scene.add(scene.spec("wrong").annotation(ROLE, "two words"));
    // The shipped policy has to be told of other audiences.
    let vault = [
        (ROLE_ARN, &*arn("vault")),
        ("eks.amazonaws.com/audience", "vault"),
    ];
    scene.add_account("vault", &vault);
    let vault = scene.add(scene.spec("vault").service_account("vault"));
    let _agent = scene.start(&["--default-role", "everybody"]);
    for pod in [&cart, &wrong, &vault] {
        assert_status(&scene.settled(&pod.place()), 404);
    }
    let told = event(&scene, &cart, "RoleRefusedBySTS");
    assert_about(
        &told,
        &cart,
        &[&arn("cart"), "AccessDenied", "trust policy"],
    );
    let told = event(&scene, &wrong, "InvalidAnnotation");
    assert_about(&told, &wrong, &[ROLE, "two words"]);
    let told = event(&scene, &vault, "NoServiceAccountToken");
    assert_about(
        &told,
        &vault,
        &["\"vault\"", "deploy/manifests/2-web-identity.yaml"],
    );
}
