use bpf2iam_standins::apiserver::{
    Bearer::{Absent, Good, Wrong},
    Kind, Verb,
};
use serde_json::{Value, json};

use super::{
    PODS, account,
    client::{METADATA, METADATA_LIST},
    namespace, pod, start,
};

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn objects_get_what_every_object_gets_from_a_server() {
    let (server, client) = start();
    let version = server.put(pod("shop", "web", "node-1")).unwrap();
    let web = client.get("/api/v1/namespaces/shop/pods/web").await;
    assert_eq!(web.status, 200);
    assert_eq!(web.headers["content-type"], "application/json");
    let web = web.json();
    assert_eq!(
        (&web["kind"], &web["apiVersion"]),
        (&json!("Pod"), &json!("v1"))
    );
    assert_eq!(web["metadata"]["resourceVersion"], version.to_string());
    let uid = web["metadata"]["uid"].as_str().unwrap().to_owned();
    let created = web["metadata"]["creationTimestamp"].clone();
    assert!(uid.len() == 36 && created.is_string());

    let again = server.put(pod("shop", "web", "node-2")).unwrap();
    assert!(again > version);
    let web = client.get("/api/v1/namespaces/shop/pods/web").await.json();
    assert_eq!(web["metadata"]["uid"], uid);
    assert_eq!(web["metadata"]["creationTimestamp"], created);
    assert_eq!(web["spec"]["nodeName"], "node-2");
}

#[tokio::test]
async fn lists_are_of_all_or_of_a_namespace_or_of_a_selection() {
    let (server, client) = start();
    for (namespace, name, node) in [("b", "one", "n1"), ("a", "two", "n2"), ("b", "three", "n1")] {
        server.put(pod(namespace, name, node)).unwrap();
    }
    server.put(namespace("a")).unwrap();
    server.put(account("a", "web")).unwrap();
    for (path, expected) in [
        (PODS, &["two", "one", "three"][..]),
        ("/api/v1/namespaces/b/pods", &["one", "three"]),
        ("/api/v1/namespaces/c/pods", &[]),
        (
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1",
            &["one", "three"],
        ),
        (
            "/api/v1/pods?fieldSelector=spec.nodeName=n1,metadata.name!=one",
            &["three"],
        ),
        ("/api/v1/namespaces?fieldSelector=metadata.name=a", &["a"]),
        ("/api/v1/serviceaccounts", &["web"]),
    ] {
        let list = client.get(path).await.json();
        let mut found = names(&list);
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{path}");
        assert_eq!(
            list["metadata"]["resourceVersion"],
            server.version().to_string()
        );
    }
    let list = client.get(PODS).await.json();
    assert_eq!(list["kind"], "PodList");
    assert_eq!(
        list["items"][0].get("kind"),
        None,
        "items go without a type"
    );
}

#[tokio::test]
async fn who_wants_only_metadata_gets_only_metadata() {
    let (server, client) = start();
    server.put(pod("shop", "web", "node-1")).unwrap();
    let one = client
        .with("accept", METADATA)
        .get("/api/v1/namespaces/shop/pods/web")
        .await
        .json();
    let list = client.with("accept", METADATA_LIST).get(PODS).await.json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["apiVersion"], "meta.k8s.io/v1");
    for object in [&one, &list["items"][0]] {
        assert_eq!(object["kind"], "PartialObjectMetadata");
        assert_eq!(object["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(object["metadata"]["name"], "web");
        assert_eq!(object.get("spec"), None);
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_as_by_a_real_server() {
    let (server, client) = start();
    server.put(namespace("shop")).unwrap();
    for (method, path, code, reason, message) in [
        (
            "GET",
            "/api/v1/namespaces/shop/pods/web",
            404,
            "NotFound",
            "pods \"web\" not found",
        ),
        (
            "GET",
            "/api/v1/namespaces/other",
            404,
            "NotFound",
            "namespaces \"other\" not found",
        ),
        (
            "GET",
            "/api/v1/secrets",
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            "GET",
            "/api/v1/pods?fieldSelector=spec.x=y",
            400,
            "BadRequest",
            "field label not supported: spec.x",
        ),
        (
            "GET",
            "/api/v1/pods?labelSelector=x",
            400,
            "BadRequest",
            "this stand-in knows no label selectors",
        ),
        (
            "GET",
            "/api/v1/pods?resourceVersion=99999",
            504,
            "Timeout",
            "Timeout: Too large resource version: 99999, current: 1001",
        ),
        (
            "GET",
            "/api/v1/pods?resourceVersion=7&resourceVersionMatch=Exact",
            410,
            "Expired",
            "The resourceVersion for the provided list is too old.",
        ),
        (
            "GET",
            "/api/v1/pods?continue=x",
            400,
            "BadRequest",
            "invalid continue token: continue key is not valid",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/shop",
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            "OPTIONS",
            PODS,
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
    ] {
        let answer = client.send(method, path, "").await.unwrap();
        let expected = (code, reason.to_owned(), message.to_owned());
        assert_eq!(answer.refusal(), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_nowhere_has_no_status_and_what_is_not_json_is_refused() {
    let (_server, client) = start();
    for path in ["/lamps", "/apis/lamps.io/v1/lamps", "/api"] {
        let nowhere = client.get(path).await;
        assert_eq!(
            (nowhere.status, &nowhere.body[..]),
            (404, &b"404 page not found\n"[..])
        );
    }
    let yaml = client.with("accept", "application/yaml").get(PODS).await;
    assert_eq!(yaml.refusal().1, "NotAcceptable");
}

#[tokio::test]
async fn all_pages_of_a_list_are_of_one_moment() {
    let (server, client) = start();
    for name in ["a", "b", "c", "d", "e"] {
        server.put(pod("shop", name, "n")).unwrap();
    }
    let first = client.get("/api/v1/pods?limit=2").await.json();
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    server.delete(Kind::Pod, "shop", "c").unwrap();
    server.put(pod("shop", "bb", "n")).unwrap();
    let mut seen = Vec::new();
    let mut page = first.clone();
    while let Some(next) = page["metadata"]["continue"].as_str() {
        page = client
            .get(&format!("/api/v1/pods?limit=2&continue={next}"))
            .await
            .json();
        assert_eq!(
            page["metadata"]["resourceVersion"],
            first["metadata"]["resourceVersion"]
        );
        seen.extend(names(&page).into_iter().map(ToOwned::to_owned));
    }
    assert_eq!(seen, ["c", "d", "e"]);

    server.compact();
    let next = first["metadata"]["continue"].as_str().unwrap();
    let gone = client
        .get(&format!("/api/v1/pods?limit=2&continue={next}"))
        .await;
    assert_eq!(gone.refusal().1, "Expired");
    assert_eq!(gone.status, 410);
}

#[tokio::test]
async fn tokens_can_be_required_and_rotated() {
    let (server, client) = start();
    let with = |token: &str| client.with("authorization", format!("Bearer {token}"));
    assert_eq!(client.get(PODS).await.status, 200);
    server.bearers().require(["old"]);
    assert_eq!(with("old").get(PODS).await.status, 200);
    server.bearers().require(["new"]);
    let anonymous = client.get(PODS).await.refusal();
    assert_eq!((anonymous.0, anonymous.1.as_str()), (403, "Forbidden"));
    assert!(
        anonymous
            .2
            .contains("User \"system:anonymous\" cannot list")
    );
    for refused in [with("old"), with(""), client.with("authorization", "new")] {
        let answer = refused.get(PODS).await;
        let expected = (401, "Unauthorized".to_owned(), "Unauthorized".to_owned());
        assert_eq!(answer.refusal(), expected, "{refused:?}");
    }
    assert_eq!(with("new").get(PODS).await.status, 200);
    assert_eq!(client.get("/readyz").await.status, 200);
    let bearers: Vec<_> = server
        .requests()
        .entries()
        .iter()
        .map(|seen| seen.bearer)
        .collect();
    assert_eq!(
        bearers,
        [Absent, Good, Absent, Wrong, Wrong, Wrong, Good, Absent]
    );
    assert!(!format!("{server:?} {:?} {:?}", server.bearers(), server.requests()).contains("old"));
    server.bearers().waive();
    assert_eq!(client.get(PODS).await.status, 200);
}

#[tokio::test]
async fn every_request_is_remembered() {
    let (server, client) = start();
    let client = client
        .with("user-agent", "me/1")
        .with("accept", METADATA_LIST);
    client.get("/api/v1/namespaces?limit=500").await;
    client.get("/api/v1/namespaces?limit=500").await;
    client.get("/api/v1/secrets").await;
    let seen = &server.requests().entries()[0];
    assert_eq!((seen.method.as_str(), seen.verb), ("GET", Some(Verb::List)));
    assert_eq!(seen.path, "/api/v1/namespaces");
    assert_eq!(seen.parameter("limit").as_deref(), Some("500"));
    assert_eq!(seen.user_agent.as_deref(), Some("me/1"));
    assert_eq!(seen.accept.as_deref(), Some(METADATA_LIST));
    assert_eq!((seen.bearer, seen.status), (Absent, Some(200)));
    let counts = server.counts();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (count.path.as_str(), count.status, count.requests))
        .collect();
    assert_eq!(
        counts,
        [
            ("/api/v1/namespaces", Some(200), 2),
            ("/api/v1/secrets", Some(404), 1)
        ]
    );
}

#[tokio::test]
async fn objects_that_are_none_are_refused() {
    let (server, _client) = start();
    for object in [
        json!(null),
        json!({"kind": "Node"}),
        json!({"kind": "Pod", "metadata": {"name": "a"}}),
    ] {
        assert!(server.put(object).is_err());
    }
    let missing = server.delete(Kind::Pod, "shop", "web").unwrap_err();
    assert_eq!(missing.to_string(), "there is no Pod shop/web");
    assert!(server.patch(Kind::Pod, "shop", "web", &json!({})).is_err());
    assert_eq!(server.get(Kind::Pod, "shop", "web"), None);
}

#[tokio::test]
async fn a_node_is_changed_by_a_json_patch_where_what_that_tests_is_so() {
    let (server, client) = start();
    let taints = json!([{"key": "a", "effect": "NoSchedule"}, {"key": "b", "effect": "NoExecute"}]);
    let node = json!({"kind": "Node", "metadata": {"name": "node-1"}, "spec": {"taints": taints}});
    server.put(node).unwrap();
    let json_patch = client.with("content-type", "application/json-patch+json");
    let path = "/api/v1/nodes/node-1";
    let remove = |value: &Value| {
        json!([
            {"op": "test", "path": "/spec/taints/0", "value": value},
            {"op": "remove", "path": "/spec/taints/0"},
        ])
    };
    let patch = remove(&taints[0]).to_string();
    let patched = json_patch.send("PATCH", path, &patch).await.unwrap();
    assert_eq!(patched.status, 200);
    assert_eq!(patched.json()["spec"]["taints"], json!([taints[1]]));
    let again = json_patch.send("PATCH", path, &patch).await.unwrap();
    let (code, reason, message) = again.refusal();
    assert_eq!((code, &*reason), (422, "Invalid"));
    assert!(message.contains("error in our request"), "{message}");
    let kept = client.get(path).await.json();
    assert_eq!(kept["spec"]["taints"], json!([taints[1]]));

    assert_eq!(client.patch(path, &json!({})).await.status, 415);
    let missing = json_patch
        .send("PATCH", "/api/v1/nodes/node-2", &patch)
        .await;
    assert_eq!(missing.unwrap().refusal().2, "nodes \"node-2\" not found");
}
