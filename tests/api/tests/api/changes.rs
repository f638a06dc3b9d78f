//! What becomes of a role while the pod lives, and when it ends.

use serde_json::json;

use crate::scene::{
    NOTHING, ROLE, Scene, assert_role, assert_status, role, wait, wait_for_outcome,
};

#[test]
fn what_is_annotated_counts_from_the_next_request_on() {
    let Some(scene) = Scene::set("annotate") else {
        return;
    };
    let _agent = scene.start(&[]);
    let pod = scene.add(scene.spec("cart"));
    let place = pod.place();
    assert_status(&scene.settled(&place), 404);
    scene.annotate(&pod, &format!("{ROLE}=cart"));
    scene.changes(&place, NOTHING, role("cart"));
    scene.annotate(&pod, &format!("{ROLE}=till"));
    scene.changes(&place, role("cart"), role("till"));
    scene.annotate(&pod, &format!("{ROLE}-"));
    scene.changes(&place, role("till"), NOTHING);

    let namespace = format!("namespace/{}", scene.namespace);
    for (annotation, before, after) in [
        ("bpf2iam.io/default-role=shop", NOTHING, role("shop")),
        ("bpf2iam.io/default-role-", role("shop"), NOTHING),
    ] {
        let annotated = scene.cluster.annotate("", &namespace, &[annotation]);
        annotated.unwrap();
        scene.changes(&place, before, after);
    }
}

#[test]
fn a_pod_that_comes_again_by_the_same_name_is_another() {
    let Some(scene) = Scene::set("again") else {
        return;
    };
    let agent = scene.start(&[]);
    let before = scene.add(scene.spec("cart-0").annotation(ROLE, "before"));
    assert_role(&scene.settled(&before.place()), "before");
    scene.delete(&scene.namespace, "cart-0");
    let after = scene.add(scene.spec("cart-0").annotation(ROLE, "after"));
    assert_ne!(before.uid(), after.uid());
    assert_role(&scene.settled(&after.place()), "after");
    // The old one still runs, as it does for a moment after a deletion by force.
    assert_status(&scene.settled(&before.place()), 404);
    wait_for_outcome(&agent, &before, "pod_elsewhere");
}

#[test]
fn a_pod_that_is_terminating_is_served_until_it_is_gone() {
    let Some(scene) = Scene::set("terminating") else {
        return;
    };
    let agent = scene.start(&[]);
    let pod = scene.add(scene.spec("cart").annotation(ROLE, "cart"));
    assert_role(&scene.settled(&pod.place()), "cart");
    let place = ["--namespace", &scene.namespace];
    let patch = json!({ "metadata": { "finalizers": ["bpf2iam.io/test"] } }).to_string();
    let held = ["patch", "pod/cart", "--type=merge", "--patch", &patch];
    scene
        .cluster
        .kubectl(&[&held[..], &place].concat())
        .unwrap();
    let delete = [
        "delete",
        "pod/cart",
        "--force",
        "--grace-period=0",
        "--wait=false",
    ];
    scene
        .cluster
        .kubectl(&[&delete[..], &place].concat())
        .unwrap();
    let pods = scene
        .cluster
        .get(&[&["pod/cart"], &place[..]].concat())
        .unwrap();
    assert!(pods["metadata"]["deletionTimestamp"].is_string(), "{pods}");
    let events = "bpf2iam_watch_events_total{kind=\"pods\"}";
    let heard = || {
        let page = scene.stage.admin("/metrics").unwrap();
        let line = page.lines().find(|line| line.starts_with(events))?;
        line.rsplit_once(' ')?.1.parse::<u32>().ok()
    };
    // ADDED, the status, the finalizer, the deletion; the agent's own pod was listed.
    wait("the deletion to be told", || (heard()? >= 5).then_some(()));
    assert_role(&scene.ask(&pod.place()), "cart");

    let gone = json!({ "metadata": { "finalizers": null } }).to_string();
    let patch = ["patch", "pod/cart", "--type=merge", "--patch", &gone];
    scene
        .cluster
        .kubectl(&[&patch[..], &place].concat())
        .unwrap();
    scene.changes(&pod.place(), role("cart"), NOTHING);
    drop(agent);
}
