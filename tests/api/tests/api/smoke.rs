//! The control plane is what the other tests take it for.

use std::time::Duration;

use bpf2iam_api::{
    Cluster,
    account::Account,
    object,
    token::{self, Request},
};
use bpf2iam_support::{Node, Options, Place, process::output};
use serde_json::{Value, json};

/// Longer than any single thing takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// What AWS wants to see in a token.
const AUDIENCE: &str = "sts.amazonaws.com";
/// Where the API server is at the near end of a line.
const NEAR: &str = "https://127.0.0.1:6443";

/// A node, and in a namespace a pod on it, with the pod's uid.
struct Scene {
    node: String,
    namespace: String,
    uid: String,
}

impl Scene {
    fn set(cluster: &Cluster) -> Self {
        let namespace = cluster.add_namespace("smoke").unwrap();
        let node = cluster.add_node("smoke").unwrap();
        cluster
            .apply(&object::pod(&namespace, "web", &node))
            .unwrap();
        let pod = cluster.get(&["pod", "web", "-n", &namespace]).unwrap();
        let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
        Self {
            node,
            namespace,
            uid,
        }
    }

    fn watch(&self) -> String {
        format!(
            "/api/v1/pods?watch=1&timeoutSeconds=60&fieldSelector=spec.nodeName={}",
            self.node
        )
    }
}

/// What the API server says to `GET PATH` with an account's own files, and the status.
fn ask(place: &Place, account: &Account, server: &str, path: &str) -> (String, String) {
    let script = r#"exec curl -sS -m 20 --noproxy '*' --cacert "$0/ca.crt" -w '\n%{http_code}' \
        -H "Authorization: Bearer $(cat "$0/token")" "$1""#;
    let mut curl = place.command("sh").unwrap();
    curl.args(["-c", script]).arg(account.as_ref());
    let said = output(curl.arg(format!("{server}{path}")), PATIENCE).unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn namespaces_can_be_listed() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let list = cluster.get(&["namespaces"]).unwrap();
    let names = list["items"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|item| &item["metadata"]["name"]).collect();
    for name in ["default", "kube-system"] {
        assert!(names.contains(&&json!(name)), "{names:?}");
    }
    assert!(cluster.get(&["namespace", "no-such"]).is_err());
}

#[test]
fn a_pod_on_a_node_is_watched_from_its_making_to_its_end() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let (scene, elsewhere) = (Scene::set(&cluster), Scene::set(&cluster));
    let watch = cluster.watch(&scene.watch()).unwrap();
    let event = |wanted: &str| -> Value {
        let line = watch.wait_for_line(|line| line.contains(wanted), PATIENCE);
        serde_json::from_str(&line.unwrap()).unwrap()
    };
    let added = event(r#""type":"ADDED""#);
    assert_eq!(added["object"]["metadata"]["uid"], scene.uid);
    assert_eq!(added["object"]["spec"]["nodeName"], scene.node);

    let status = json!({ "phase": "Running", "podIPs": [{ "ip": "10.1.2.3" }] });
    cluster
        .set_status(&scene.namespace, "pod/web", &status)
        .unwrap();
    let modified = event("10.1.2.3");
    assert_eq!(modified["type"], "MODIFIED");
    assert_eq!(modified["object"]["status"]["phase"], "Running");

    // Nobody is there to stop it: it stays, and is going to be deleted.
    let place = ["--namespace", &scene.namespace];
    let delete = ["delete", "pod/web", "--wait=false"];
    cluster.kubectl(&[&delete[..], &place].concat()).unwrap();
    let terminating = event("deletionTimestamp");
    assert_eq!(terminating["type"], "MODIFIED");
    let delete = ["delete", "pod/web", "--force", "--grace-period=0"];
    cluster.kubectl(&[&delete[..], &place].concat()).unwrap();
    event(r#""type":"DELETED""#);

    let other_node = |line: &String| line.contains(&elsewhere.uid);
    assert!(!watch.lines().iter().any(other_node));
}

#[test]
fn a_token_that_is_bound_to_a_pod_says_whose_it_is() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let Scene {
        node,
        namespace,
        uid,
    } = &Scene::set(&cluster);
    let request = Request::default()
        .audience(AUDIENCE)
        .lifetime(Duration::from_hours(1))
        .bound_to_pod("web", uid);
    let token = cluster
        .create_token(namespace, "default", &request)
        .unwrap();
    assert_eq!(token::header(&token).unwrap()["alg"], "RS256");
    let claims = token::claims(&token).unwrap();
    assert_eq!(claims["aud"], json!([AUDIENCE]));
    let subject = format!("system:serviceaccount:{namespace}:default");
    assert_eq!(claims["sub"], subject);
    let bound = &claims["kubernetes.io"];
    assert_eq!(bound["namespace"], *namespace);
    assert_eq!(bound["pod"], json!({ "name": "web", "uid": uid }));
    assert_eq!(bound["node"]["name"], *node);
    assert_eq!(bound["serviceaccount"]["name"], "default");
    let seconds = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(seconds, 3600);
    let jwks = cluster.get_raw("/openid/v1/jwks").unwrap();
    let key = &token::header(&token).unwrap()["kid"];
    assert!(jwks.contains(key.as_str().unwrap()), "{jwks}");
}

#[test]
fn a_token_is_refused_for_another_pod_another_account_and_too_short_a_time() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let Scene { namespace, uid, .. } = &Scene::set(&cluster);
    let other = object::service_account(namespace, "other");
    cluster.apply(&other).unwrap();
    let request = Request::default().audience(AUDIENCE);
    let short = Duration::from_mins(9);
    let bound = |pod, uid| request.clone().bound_to_pod(pod, uid);
    for (account, request, refusal) in [
        ("default", bound("web", "0"), "does not match the UID"),
        ("default", bound("db", uid), "pods \"db\" not found"),
        ("other", bound("web", uid), "different serviceaccount name"),
        ("default", request.clone().lifetime(short), "10 minutes"),
        ("nobody", request.clone(), "\"nobody\" not found"),
    ] {
        let refused = cluster.create_token(namespace, account, &request);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains(refusal), "{account} {request:?}: {said}");
    }
}

#[test]
fn an_account_may_do_what_its_roles_say_beside_the_server_and_over_a_line() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let namespace = &cluster.add_namespace("smoke").unwrap();
    let subject = format!("--serviceaccount={namespace}:default");
    let bind = ["create", "rolebinding", "view", "--clusterrole=view"];
    let place = ["--namespace", namespace, &subject];
    cluster.kubectl(&[&bind[..], &place].concat()).unwrap();
    let token = cluster
        .create_token(namespace, "default", &Request::default())
        .unwrap();
    let files = tempfile::tempdir().unwrap();
    let account = Account::write(&cluster, files.path(), namespace, &token, NEAR).unwrap();

    let node = Node::create(Options::default()).unwrap();
    let line = cluster.line_from(node.netns()).unwrap();
    for (place, server) in [(cluster.place(), cluster.url()), (&node.host(), NEAR)] {
        for (path, expected) in [
            (format!("/api/v1/namespaces/{namespace}/pods"), "200"),
            (format!("/api/v1/namespaces/{namespace}/secrets"), "403"),
            ("/api/v1/namespaces/kube-system/pods".to_owned(), "403"),
        ] {
            let (status, body) = ask(place, &account, server, &path);
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
    account.set_token("nonsense").unwrap();
    let (status, _) = ask(&node.host(), &account, NEAR, "/api/v1/namespaces");
    assert_eq!(status, "401");
    drop(line);
    let (status, _) = ask(&node.host(), &account, NEAR, "/readyz");
    assert_eq!(status, "000", "nobody answers once the line is cut");
}

#[test]
fn a_program_finds_its_account_where_containers_do_and_the_machine_does_not() {
    let Some(cluster) = Cluster::find_or_skip() else {
        return;
    };
    let files = tempfile::tempdir().unwrap();
    let account = Account::write(&cluster, files.path(), "shop", "a token", NEAR).unwrap();
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    let [program, rest @ ..] = account.launcher();
    let mut cat = cluster.command(program).unwrap();
    let said = output(cat.args(rest).args(["cat", token]), PATIENCE).unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "a token");
    let mut cat = cluster.command("cat").unwrap();
    let said = output(cat.arg(token), PATIENCE).unwrap();
    assert!(!said.status.success());
}
