use bpf2iam_standins::{
    apiserver::{Config, Kind},
    listen::Address,
};
use serde_json::{Value, json};

use crate::wire::{Answer, request, send_unix};

use super::{PODS, pod, start_with};

#[tokio::test]
async fn the_control_listener_can_do_what_a_test_can() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let (server, client) = start_with(Config {
        control: Some(Address::Unix(path.clone())),
        ..Config::default()
    });
    let control = async |method: &str, target: &str, body: &Value| -> Answer {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        send_unix(&path, &request(method, target, "", &body))
            .await
            .unwrap()
    };
    let list = json!({"kind": "List", "items": [pod("shop", "a", "n"), pod("shop", "b", "n")]});
    let put = control("PUT", "/objects", &list).await;
    assert_eq!(
        (put.status, put.json()),
        (200, json!({"resourceVersion": "1002"}))
    );
    let patch = json!({"spec": {"nodeName": "m"}});
    assert_eq!(
        control("PATCH", "/objects/pods/shop/a", &patch)
            .await
            .status,
        200
    );
    let object = control("GET", "/objects/pods/shop/a", &Value::Null).await;
    assert_eq!(object.json()["spec"]["nodeName"], "m");

    let mut lines = client
        .watch(&format!("{PODS}?watch=true&resourceVersion=1003"))
        .await;
    assert_eq!(
        control("GET", "/watches", &Value::Null).await.json(),
        json!({"Pod": 1})
    );
    control("PUT", "/objects?quiet", &json!([pod("shop", "c", "n")])).await;
    let told = json!({"type": "DELETED", "object": pod("shop", "x", "n")});
    assert_eq!(control("POST", "/told", &told).await.status, 204);
    assert_eq!(
        control("DELETE", "/objects/pods/shop/b", &Value::Null)
            .await
            .status,
        200
    );
    let order = json!({"kind": "Pod", "do": "expire"});
    assert_eq!(control("POST", "/watches", &order).await.status, 204);
    assert_eq!(
        lines.briefs(3).await,
        ["DELETED x", "DELETED b", "ERROR 410"]
    );

    control("PUT", "/tokens", &json!(["good"])).await;
    assert_eq!(client.get(PODS).await.status, 403);
    control("DELETE", "/tokens", &Value::Null).await;
    let rule = json!([{"verb": "list", "times": 1, "do": {"status": {"code": 503}}}]);
    control("PUT", "/rules", &rule).await;
    assert_eq!(control("GET", "/rules", &Value::Null).await.json(), rule);
    assert_eq!(client.get(PODS).await.status, 503);
    assert_eq!(control("PUT", "/door", &json!("closed")).await.status, 204);
    assert!(client.send("GET", PODS, "").await.is_err());
    assert_eq!(control("PUT", "/door", &json!("open")).await.status, 204);
    assert_eq!(client.get(PODS).await.status, 200);

    let counts = control("GET", "/counts", &Value::Null).await.json();
    let expected = json!({"verb": "list", "path": PODS, "status": 503, "requests": 1});
    assert!(counts.as_array().unwrap().contains(&expected), "{counts}");
    control("DELETE", "/requests", &Value::Null).await;
    assert_eq!(
        control("GET", "/requests", &Value::Null).await.json(),
        json!([])
    );
    assert_eq!(
        control("DELETE", "/objects", &Value::Null).await.status,
        204
    );
    assert!(server.objects(Kind::Pod).is_empty());
}

#[tokio::test]
async fn wrong_orders_are_refused_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let (server, client) = start_with(Config {
        control: Some(Address::Unix(path.clone())),
        ..Config::default()
    });
    for (method, target, body, status) in [
        ("PUT", "/objects", "[{}]", 400),
        ("PUT", "/objects", "nonsense", 400),
        ("PUT", "/rules", "[{}]", 400),
        ("PUT", "/door", "\"ajar\"", 400),
        ("POST", "/watches", "{}", 400),
        ("POST", "/told", "{\"type\":\"ADDED\",\"object\":{}}", 400),
        ("DELETE", "/objects/pods/shop/a", "", 404),
        ("PATCH", "/objects/pods/shop/a", "{}", 404),
        ("GET", "/objects/nodes/a", "", 404),
        ("GET", "/nothing", "", 404),
        ("GET", PODS, "", 404),
    ] {
        let answer = send_unix(&path, &request(method, target, "", body))
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{method} {target} {body}");
    }
    assert_eq!(
        client.get("/rules").await.status,
        404,
        "its own port has no control"
    );
    assert!(server.rules().entries().is_empty());
}
