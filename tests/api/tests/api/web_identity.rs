//! Roles of ServiceAccounts: a token of the pod, from a real API server, which STS checks by the cluster's own keys.

use std::{
    io::{self, Write as _},
    thread,
    time::Duration,
};

use bpf2iam_api::token;
use bpf2iam_support::{Pod, stage::STS};
use serde_json::{Value, json};

use crate::{
    scene::{NOTHING, ROLE, ROLE_ARN, Scene, answer, arn, assert_role, assert_status, wait},
    tapped::Tapped,
};

/// So many requests a node may make when it starts, and one more for each token.
const AT_START: usize = 6;
/// Long enough for whatever somebody would ask without a reason.
const REST: Duration = Duration::from_secs(2);

fn bound_to(request: &crate::tapped::Request) -> Value {
    request.body.as_ref().unwrap()["spec"]["boundObjectRef"].clone()
}

fn assert_claims(claims: &Value, scene: &Scene, pod: &Pod) {
    let spec = pod.spec();
    let (namespace, account) = (&spec.namespace, &spec.service_account);
    assert_eq!(claims["aud"], json!(["sts.amazonaws.com"]));
    assert_eq!(
        claims["sub"],
        format!("system:serviceaccount:{namespace}:{account}")
    );
    let bound = &claims["kubernetes.io"];
    assert_eq!(bound["namespace"], *namespace);
    assert_eq!(bound["pod"], json!({ "name": spec.name, "uid": pod.uid() }));
    assert_eq!(bound["serviceaccount"]["name"], *account);
    assert_eq!(bound["node"]["name"], scene.stage.node().name());
}

#[test]
fn sts_takes_the_token_of_the_pod_itself_which_is_made_once() {
    let Some(mut scene) = Scene::set("identity") else {
        return;
    };
    let role = arn("till");
    scene.add_account("till", &[(ROLE_ARN, &role)]);
    scene.add_account("thief", &[(ROLE_ARN, &role)]);
    let keys = scene.cluster.get_raw("/openid/v1/jwks").unwrap();
    let trust = format!("{role}=system:serviceaccount:{}:till", scene.namespace);
    scene
        .stage
        .start_sts(STS, &["--jwks", keys.trim(), "--trust", &trust])
        .unwrap();
    // STS fails twice, so that it is asked more often than there are pods.
    let rule = json!([{ "times": 2, "do": { "fault": { "error": "InternalFailure" } } }]);
    scene.stage.set_sts_rules(&rule).unwrap();

    let add = |name: &str, account: &str| scene.add(scene.spec(name).service_account(account));
    let pods = [add("till-0", "till"), add("till-1", "till")];
    let thief = add("thief", "thief");
    let tapped = Tapped::new(&scene);
    let _agent = tapped.start(&scene, &[]);
    for pod in &pods {
        for _ in 0..3 {
            assert_role(&scene.settled(&pod.place()), "till");
        }
    }
    assert_status(&scene.settled(&thief.place()), 404);

    for pod in pods.iter().chain([&thief]) {
        let requests = tapped.token_requests();
        let mut own = requests
            .iter()
            .filter(|request| bound_to(request)["uid"] == pod.uid());
        let request = own.next().unwrap();
        assert!(
            own.next().is_none(),
            "more than one token for {}",
            pod.spec()
        );
        let spec = &request.body.as_ref().unwrap()["spec"];
        assert_eq!(spec["audiences"], json!(["sts.amazonaws.com"]));
        assert_eq!(bound_to(request)["name"], pod.spec().name);
        let claims = tapped
            .shown()
            .iter()
            .map(|token| token::claims(token).unwrap())
            .find(|claims| claims["kubernetes.io"]["pod"]["uid"] == pod.uid());
        assert_claims(&claims.unwrap(), &scene, pod);
    }
    assert!(tapped.shown().len() >= 5, "two calls failed");
    let issued = scene.stage.ask_sts("/issued").unwrap();
    let issued = issued.as_array().unwrap();
    assert_eq!(issued.len(), 2, "one session for each pod: {issued:#?}");
    for session in issued {
        assert_eq!(session["action"], "AssumeRoleWithWebIdentity");
        let subject = format!("system:serviceaccount:{}:till", scene.namespace);
        assert_eq!(session["subject"], subject);
    }
}

#[test]
fn keys_of_another_cluster_are_no_proof() {
    let Some(mut scene) = Scene::set("foreign") else {
        return;
    };
    let keys = scene.cluster.get_raw("/openid/v1/jwks").unwrap();
    let mut keys: Value = serde_json::from_str(&keys).unwrap();
    let modulus = keys["keys"][0]["n"].as_str().unwrap();
    keys["keys"][0]["n"] = modulus.chars().rev().collect::<String>().into();
    scene
        .stage
        .start_sts(STS, &["--jwks", &keys.to_string()])
        .unwrap();
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    let pod = scene.add(scene.spec("till").service_account("till"));
    let _agent = scene.start(&[]);
    wait("a refusal", || {
        let report = scene.ask(&pod.place());
        assert_ne!(report.status, Some(200), "{report:?}");
        (answer(&report).0 == NOTHING.0).then_some(())
    });
}

#[test]
fn a_pod_that_is_gone_gets_no_token_when_another_has_its_name() {
    let Some(scene) = Scene::set("reborn") else {
        return;
    };
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    let spec = || scene.spec("till-0").service_account("till");
    let before = scene.add(spec());
    let tapped = Tapped::new(&scene);
    let _agent = tapped.start(&scene, &[]);
    assert_role(&scene.settled(&before.place()), "till");
    scene.delete(&scene.namespace, "till-0");
    let after = scene.add(spec());
    assert_role(&scene.settled(&after.place()), "till");
    assert_status(&scene.settled(&before.place()), 404);
    let asked: Vec<_> = tapped
        .token_requests()
        .iter()
        .map(|request| bound_to(request)["uid"].clone())
        .collect();
    assert_eq!(asked, [before.uid(), after.uid()]);
}

#[test]
fn a_node_that_starts_asks_for_no_more_than_it_needs_and_then_rests() {
    let Some(scene) = Scene::set("start") else {
        return;
    };
    scene.add_account("till", &[(ROLE_ARN, &arn("till"))]);
    let tills = ["till-0", "till-1", "till-2"];
    let tills = tills.map(|name| scene.add(scene.spec(name).service_account("till")));
    let carts =
        ["cart-0", "cart-1"].map(|name| scene.add(scene.spec(name).annotation(ROLE, "cart")));
    let tapped = Tapped::new(&scene);
    let _agent = tapped.start(&scene, &[]);
    for pod in &tills {
        assert_role(&scene.settled(&pod.place()), "till");
    }
    for pod in &carts {
        assert_role(&scene.settled(&pod.place()), "cart");
    }
    thread::sleep(REST);
    let requests = tapped.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    let tokens = tapped.token_requests().len();
    let others = lines.len() - tokens;
    let said =
        format!("requests to the API server at the start of a node: {others} and {tokens} tokens");
    let _closed = writeln!(io::stderr(), "{said}").err();
    assert_eq!(tokens, tills.len(), "{lines:#?}");
    assert!(others <= AT_START, "{lines:#?}");
    let watches = lines.iter().filter(|line| line.contains("watch=")).count();
    // Whether there is such a node, who we are, and whether the policy is in force.
    assert_eq!(others, watches + 3, "only watches: {lines:#?}");
}
