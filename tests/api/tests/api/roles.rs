//! Which pod gets which role, from objects that a real API server holds.

use bpf2iam_api::object::MIRROR;
use bpf2iam_support::{client::reported, pod::Spec};
use serde_json::json;

use crate::scene::{
    LIST, NOTHING, PATIENCE, ROLE, ROLE_ARN, Scene, answer, arn, assert_role, assert_status,
    no_errors, role, wait, wait_for_outcome,
};

/// What the kubelet calls a static pod on its node, as its cgroup is called.
const HASH: &str = "kubernetes.io/config.hash";
/// The default role of a namespace.
const DEFAULT: &str = "bpf2iam.io/default-role";

/// A static pod. The kubelet of its node made the pod that stands for it at the API server; the administrator may too.
fn static_pod(scene: &Scene, name: &str, hash: &str) -> Spec {
    let spec = scene.spec(name).uid(hash);
    spec.annotation(MIRROR, hash).annotation(HASH, hash)
}

#[test]
fn each_pod_gets_what_the_first_rule_that_says_something_says() {
    let Some(scene) = Scene::set("roles") else {
        return;
    };
    let other = scene.cluster.add_namespace("roles").unwrap();
    let default = format!("{DEFAULT}=shop");
    let annotated = scene
        .cluster
        .annotate("", &format!("namespace/{other}"), &[&default]);
    annotated.unwrap();
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    scene.add_account("empty", &[(ROLE_ARN, "")]);

    let [one, two] = [
        "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "1f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ];
    let cases = [
        (scene.spec("plain"), NOTHING),
        (scene.spec("cart").annotation(ROLE, "cart"), role("cart")),
        (
            scene.spec("path").annotation(ROLE, "/team/cart"),
            role("cart"),
        ),
        (scene.spec("till").service_account("till"), role("till")),
        (scene.spec("none").service_account("empty"), NOTHING),
        (
            scene
                .spec("both")
                .service_account("till")
                .annotation(ROLE, "cart"),
            role("cart"),
        ),
        (Spec::new(&other, "quiet"), role("shop")),
        (
            Spec::new(&other, "loud").annotation(ROLE, "cart"),
            role("cart"),
        ),
        (
            Spec::new(&other, "wrong").annotation(ROLE, "no role"),
            NOTHING,
        ),
        (
            scene.spec("host").annotation(ROLE, "log").on_host_network(),
            role("log"),
        ),
        (scene.spec("host-plain").on_host_network(), NOTHING),
        (
            static_pod(&scene, "static", one).annotation(ROLE, "static"),
            role("static"),
        ),
        (static_pod(&scene, "static-plain", two), NOTHING),
    ];
    let pods = cases.map(|(spec, expected)| (scene.add(spec), expected));
    let agent = scene.start(&[]);
    for (pod, (status, role)) in &pods {
        let report = scene.settled(&pod.place());
        let got = answer(&report);
        assert_eq!(got.0, *status, "{}: {report:?}", pod.spec());
        assert!(
            role.is_none() || got.1 == *role,
            "{}: {report:?}",
            pod.spec()
        );
    }
    no_errors(&agent).unwrap();
    assert!(agent.stop().unwrap().success());

    let _agent = scene.start(&["--default-role", "everybody"]);
    for (pod, (_, role)) in &pods {
        let report = scene.settled(&pod.place());
        match pod.spec().name.as_str() {
            "wrong" => assert_status(&report, 404),
            _ => assert_role(&report, role.unwrap_or("everybody")),
        }
    }
}

#[test]
fn a_container_has_a_role_of_its_own_as_soon_as_its_id_is_known() {
    let Some(scene) = Scene::set("container") else {
        return;
    };
    let own = |name: &str| format!("container.bpf2iam.io/{name}");
    let agent = scene.start(&[]);
    let spec = scene.spec("cart").annotation(ROLE, "cart");
    let spec = spec
        .container("uploader")
        .annotation(own("uploader"), "uploads");
    let pod = scene.run(spec.container("proxy").annotation(own("proxy"), "none"));
    wait("the pod", || {
        let status = agent.status().unwrap();
        status["pods"].to_string().contains(pod.uid()).then_some(())
    });

    // The kubelet has started the containers, and says so while they ask.
    let ask = |name: &str| {
        let place = pod.container(name).unwrap();
        scene.stage.client().start(&place, &["connect"]).unwrap()
    };
    scene.line().hold();
    scene.report(&pod);
    let early = ["app", "uploader", "proxy"].map(ask);
    scene.line().release();
    for (early, expected) in early.iter().zip([role("cart"), role("uploads"), NOTHING]) {
        let report = reported(early, PATIENCE).unwrap();
        assert_eq!(answer(&report).0, expected.0, "{report:?}");
        assert!(
            expected.1.is_none() || answer(&report).1 == expected.1,
            "{report:?}"
        );
    }
    // Nobody says which container the pause container is.
    assert_status(&scene.ask(&pod.pause()), 503);
    let uploader = pod.container("uploader").unwrap();
    let others = format!("{LIST}cart");
    let report = scene
        .stage
        .client()
        .attempt(&uploader, &["get", &others])
        .unwrap();
    assert_status(&report, 404);
}

#[test]
fn who_is_not_on_this_node_gets_nothing_whatever_the_cgroup_says() {
    let Some(scene) = Scene::set("elsewhere") else {
        return;
    };
    let elsewhere = scene.cluster.add_node("elsewhere").unwrap();
    let spec = scene.spec("remote").annotation(ROLE, "cart");
    let uid = scene.bind(&spec, &elsewhere);
    let remote = scene.stage.node().add_pod(spec.uid(uid)).unwrap();
    let spec = scene.spec("nobody").annotation(ROLE, "cart");
    let unknown = scene.stage.node().add_pod(spec).unwrap();
    let finished = scene.add(scene.spec("finished").annotation(ROLE, "cart"));
    scene.set_status(&finished, &json!({ "phase": "Succeeded" }));

    let agent = scene.start(&["--default-role", "everybody"]);
    for pod in [&remote, &unknown, &finished] {
        assert_status(&scene.settled(&pod.place()), 404);
        wait_for_outcome(&agent, pod, "pod_elsewhere");
    }
    // One that finishes while the agent runs.
    let spec = scene.spec("job").annotation(ROLE, "cart");
    let job = scene.add(spec);
    assert_role(&scene.settled(&job.place()), "cart");
    scene.set_status(&job, &json!({ "phase": "Failed" }));
    scene.changes(&job.place(), role("cart"), NOTHING);
}

#[test]
fn a_call_from_an_address_that_the_api_server_knows_for_anothers_is_refused() {
    let Some(scene) = Scene::set("address") else {
        return;
    };
    let agent = scene.start(&[]);
    let pods = ["cart", "till"].map(|name| scene.add(scene.spec(name).annotation(ROLE, name)));
    let [cart, till] = &pods;
    assert_role(&scene.settled(&cart.place()), "cart");
    assert_role(&scene.settled(&till.place()), "till");
    // A process of one pod with a socket of the other's network.
    let place = cart.place().with_network_of(&till.place());
    assert_status(&scene.settled(&place), 404);
    wait_for_outcome(&agent, cart, "other_address");
}
