use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bpf2iam_standins::{
    apiserver::{ApiServer, Config, Kind},
    clock::Clock,
};
use serde_json::{Value, json};

use super::{account, client::Client, pod, start_with};

const NOW: i64 = 1_767_323_045; // 2026-01-02T03:04:05Z
const PATH: &str = "/api/v1/namespaces/shop/serviceaccounts/web/token";

/// A cluster with one pod of one account.
fn cluster() -> (ApiServer, Client) {
    let (clock, _hand) = Clock::by_hand(jiff::Timestamp::from_second(NOW).unwrap());
    let (server, client) = start_with(Config {
        clock,
        ..Config::default()
    });
    server.put(account("shop", "web")).unwrap();
    server.put(account("shop", "other")).unwrap();
    server.put(pod("shop", "web-1", "node-1")).unwrap();
    (server, client)
}

fn uid(server: &ApiServer, kind: Kind, name: &str) -> String {
    let object = server.get(kind, "shop", name).unwrap();
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

fn request(audience: &str, seconds: i64, pod: &str, uid: &str) -> Value {
    json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "spec": {
            "audiences": [audience],
            "expirationSeconds": seconds,
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid},
        },
    })
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn a_token_says_what_a_real_one_says() {
    let (server, client) = cluster();
    let pod_uid = uid(&server, Kind::Pod, "web-1");
    let request = request("sts.amazonaws.com", 172_800, "web-1", &pod_uid);
    let answer = client.post(PATH, &request).await;
    assert_eq!(answer.status, 201);
    let answer = answer.json();
    assert_eq!(answer["kind"], "TokenRequest");
    assert_eq!(
        answer["status"]["expirationTimestamp"],
        "2026-01-04T03:04:05Z"
    );
    let mut claims = claims(answer["status"]["token"].as_str().unwrap());
    let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().map(str::len), Some(36));
    let node = claims["kubernetes.io"]["node"].as_object_mut().unwrap();
    assert!(node.remove("uid").is_some());
    let expected = json!({
        "aud": ["sts.amazonaws.com"],
        "exp": NOW + 172_800,
        "iat": NOW,
        "nbf": NOW,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "sub": "system:serviceaccount:shop:web",
        "kubernetes.io": {
            "namespace": "shop",
            "node": {"name": "node-1"},
            "pod": {"name": "web-1", "uid": pod_uid},
            "serviceaccount": {"name": "web", "uid": uid(&server, Kind::ServiceAccount, "web")},
        },
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn what_is_not_said_is_as_in_a_real_cluster() {
    let (_server, client) = cluster();
    let answer = client.post(PATH, &json!({"spec": {}})).await.json();
    let claims = claims(answer["status"]["token"].as_str().unwrap());
    assert_eq!(claims["aud"], json!([claims["iss"]]));
    assert_eq!(claims["exp"], NOW + 3600);
    assert_eq!(claims["kubernetes.io"].get("pod"), None);
    assert_eq!(answer["spec"]["expirationSeconds"], 3600);
}

#[tokio::test]
async fn a_cluster_may_cap_the_length() {
    let (server, client) = start_with(Config {
        longest_token: Some(std::time::Duration::from_hours(24)),
        ..Config::default()
    });
    server.put(account("shop", "web")).unwrap();
    let long = json!({"spec": {"audiences": ["a"], "expirationSeconds": 172_800}});
    let answer = client.post(PATH, &long).await.json();
    assert_eq!(answer["spec"]["expirationSeconds"], 86_400);
    let claims = claims(answer["status"]["token"].as_str().unwrap());
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        86_400
    );
}

#[tokio::test]
async fn tokens_that_a_real_server_refuses_are_refused() {
    let (server, client) = cluster();
    let uid = uid(&server, Kind::Pod, "web-1");
    let good = request("a", 600, "web-1", &uid);
    assert_eq!(client.post(PATH, &good).await.status, 201);
    let with = |pointer: &str, value: Value| {
        let mut request = good.clone();
        *request.pointer_mut(pointer).unwrap() = value;
        request
    };
    let other = PATH.replace("web/token", "other/token");
    let missing = PATH.replace("web/token", "none/token");
    for (path, request, code, reason, message) in [
        (
            PATH,
            with("/spec/expirationSeconds", json!(599)),
            422,
            "Invalid",
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
        ),
        (
            PATH,
            with("/spec/boundObjectRef/uid", json!("wrong")),
            409,
            "Conflict",
            "Operation cannot be fulfilled on Pod \"web-1\": the UID in the bound object reference (wrong) does not match the UID in record. The object might have been deleted and then recreated",
        ),
        (
            PATH,
            with("/spec/boundObjectRef/name", json!("web-2")),
            404,
            "NotFound",
            "pods \"web-2\" not found",
        ),
        (
            PATH,
            with("/spec/boundObjectRef/kind", json!("Lamp")),
            400,
            "BadRequest",
            "cannot bind token to object of type /v1, Kind=Lamp",
        ),
        (
            &other,
            good.clone(),
            400,
            "BadRequest",
            "cannot bind token for serviceaccount \"other\" to pod running with different serviceaccount name.",
        ),
        (
            &missing,
            good.clone(),
            404,
            "NotFound",
            "serviceaccounts \"none\" not found",
        ),
    ] {
        let refused = client.post(path, &request).await.refusal();
        assert_eq!(refused, (code, reason.to_owned(), message.to_owned()));
    }
    for nonsense in [
        "",
        "[]",
        "{\"spec\":[]}",
        "{\"spec\":{\"audiences\":\"a\"}}",
    ] {
        let answer = client.send("POST", PATH, nonsense).await.unwrap();
        assert_eq!(answer.status, 400, "{nonsense}");
    }
}

#[tokio::test]
async fn the_keys_can_be_found() {
    let (server, client) = cluster();
    let discovery = client.get("/.well-known/openid-configuration").await.json();
    let expected = format!("{}/openid/v1/jwks", server.url());
    assert_eq!(discovery["jwks_uri"], expected);
    assert_eq!(
        discovery["issuer"],
        "https://kubernetes.default.svc.cluster.local"
    );
    let keys = client.get("/openid/v1/jwks").await.json();
    assert_eq!(keys, server.jwks());
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    let json = client.with("accept", "application/json");
    assert_eq!(json.get("/openid/v1/jwks").await.status, 406);
    assert_ne!(
        keys,
        cluster().0.jwks(),
        "every cluster has a key of its own"
    );
}
