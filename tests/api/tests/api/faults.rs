//! The API server hangs, is away, or does not know the agent any more.
//!
//! It is the agent's line that fails here: the server itself is every test's. So what only a server that starts anew
//! shows, or one that has forgotten a version, is in the tier `it`, where a stand-in is told to. A real one forgets
//! none as long as its own cache has it, which is the last minute at least, whatever etcd has compacted.

use std::time::{Duration, Instant};

use bpf2iam_support::{Pod, stage::Agent};

use crate::scene::{
    NOTHING, ROLE, Scene, answer, assert_role, assert_status, no_errors, role, wait,
    wait_for_record,
};

/// How long a request waits at most, with what a busy machine adds.
const HELD: Duration = Duration::from_secs(3);

/// A pod with a role of its own name.
fn add(scene: &Scene, name: &str) -> Pod {
    scene.add(scene.spec(name).annotation(ROLE, name))
}

/// The API server is of no use at the moment: known pods keep their roles, new ones wait in vain.
fn assert_known_only(scene: &Scene, known: &Pod, new: &Pod) {
    assert_role(&scene.ask(&known.place()), &known.spec().name);
    let start = Instant::now();
    assert_status(&scene.ask(&new.place()), 503);
    assert!(start.elapsed() < HELD);
    assert_role(&scene.ask(&known.place()), &known.spec().name);
}

/// It is back.
fn assert_all(scene: &Scene, agent: &Agent, pods: &[&Pod]) {
    for pod in pods {
        scene.changes(&pod.place(), NOTHING, role(&pod.spec().name));
    }
    no_errors(agent).unwrap();
}

#[test]
fn while_the_api_server_hangs_known_pods_keep_their_roles() {
    let Some(scene) = Scene::set("hangs") else {
        return;
    };
    let agent = scene.start(&["--default-role", "everybody"]);
    let cart = add(&scene, "cart");
    assert_role(&scene.settled(&cart.place()), "cart");
    scene.line().hold();
    let till = add(&scene, "till");
    assert_known_only(&scene, &cart, &till);
    scene.line().release();
    assert_all(&scene, &agent, &[&till, &cart]);
    // As a load balancer does.
    scene.line().disconnect();
    let more = add(&scene, "more");
    assert_all(&scene, &agent, &[&more, &cart]);
}

#[test]
fn while_the_api_server_is_away_known_pods_keep_their_roles() {
    let Some(mut scene) = Scene::set("away") else {
        return;
    };
    let agent = scene.start(&["--default-role", "everybody"]);
    let cart = add(&scene, "cart");
    let gone = add(&scene, "gone");
    assert_role(&scene.settled(&cart.place()), "cart");
    assert_role(&scene.settled(&gone.place()), "gone");
    scene.line = None;
    wait_for_record(agent.process(), |record| {
        record["reason"] == "unreachable" && record["of"] == "pods"
    });
    let till = add(&scene, "till");
    scene.delete(&scene.namespace, "gone");
    assert_known_only(&scene, &cart, &till);
    scene.line = Some(scene.cluster.line_from(scene.stage.node().netns()).unwrap());
    assert_all(&scene, &agent, &[&till, &cart]);
    scene.changes(&gone.place(), role("gone"), NOTHING);
}

#[test]
fn an_agent_that_starts_while_the_api_server_is_away_answers_nobody_until_it_is_back() {
    let Some(mut scene) = Scene::set("early") else {
        return;
    };
    scene.line = None;
    let cart = add(&scene, "cart");
    let plain = scene.add(scene.spec("plain"));
    let early = scene.spawn(&["--default-role", "everybody"]);
    wait_for_record(&early, |record| record["message"] == "attached");
    let page = scene.stage.admin("/readyz").unwrap();
    assert!(page.contains("the pods to be listed"), "{page}");
    for pod in [&cart, &plain] {
        assert_status(&scene.ask(&pod.place()), 503);
    }
    scene.line = Some(scene.cluster.line_from(scene.stage.node().netns()).unwrap());
    let agent = scene.ready(early);
    assert_all(&scene, &agent, &[&cart]);
    assert_role(&scene.settled(&plain.place()), "everybody");
}

#[test]
fn a_token_that_is_replaced_is_used_and_one_that_is_refused_costs_no_pod_its_role() {
    let Some(scene) = Scene::set("rotated") else {
        return;
    };
    let agent = scene.start(&[]);
    let cart = add(&scene, "cart");
    assert_role(&scene.settled(&cart.place()), "cart");
    let node = scene.stage.node().name();

    // A new token in time, as the kubelet has it. The old one ends.
    let (_, token) = scene.cluster.agent_token(&node).unwrap();
    scene.account.set_token(&token).unwrap();
    scene.delete(bpf2iam_api::deploy::AGENT, &scene.agent_pod);
    scene.line().disconnect();
    let till = add(&scene, "till");
    assert_all(&scene, &agent, &[&till, &cart]);
    let unknown = |line: &String| line.contains("unauthorized");
    assert!(!agent.process().lines().iter().any(unknown));

    // None in time.
    scene.account.set_token("nonsense").unwrap();
    scene.line().disconnect();
    let said = wait_for_record(agent.process(), |record| {
        record["reason"] == "unauthorized" && record["of"] == "pods"
    });
    assert!(
        said["message"].as_str().unwrap().contains("token"),
        "{said}"
    );
    let more = add(&scene, "more");
    assert_known_only(&scene, &cart, &more);
    let (_, token) = scene.cluster.agent_token(&node).unwrap();
    scene.account.set_token(&token).unwrap();
    assert_all(&scene, &agent, &[&more, &cart]);
    wait("the word that it is over", || {
        let said = agent.logged("the API server tells again");
        said.iter()
            .any(|record| record["of"] == "pods")
            .then_some(())
    });
    assert_eq!(answer(&scene.ask(&cart.place())), role("cart"));
}
