use bpf2iam_standins::apiserver::Kind;
use serde_json::{Value, json};

use super::start;

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

fn event() -> Value {
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "web.1", "namespace": "shop"},
        "eventTime": "2026-01-02T03:04:05.000000Z",
        "reportingController": "bpf2iam.io/agent",
        "reportingInstance": "node-1",
        "action": "AssumeRole",
        "reason": "RoleRefused",
        "regarding": {"kind": "Pod", "namespace": "shop", "name": "web", "uid": "u"},
        "note": "the namespace does not allow the role",
        "type": "Warning",
    })
}

#[tokio::test]
async fn an_event_is_kept_and_its_series_goes_on() {
    let (server, client) = start();
    let created = client.post(EVENTS, &event()).await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.json()["metadata"]["uid"].is_string());
    assert_eq!(
        client.post(EVENTS, &event()).await.refusal().1,
        "AlreadyExists"
    );

    let one = format!("{EVENTS}/web.1");
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-01-02T03:05:05.000000Z"}});
    assert_eq!(client.patch(&one, &series).await.status, 200);
    let kept = client.get(&one).await.json();
    assert_eq!(kept["series"]["count"], 2);
    assert_eq!(kept["note"], event()["note"]);
    assert_eq!(server.objects(Kind::Event), [kept]);

    let missing = client.patch(&format!("{EVENTS}/web.2"), &series).await;
    assert_eq!(
        missing.refusal().2,
        "events.events.k8s.io \"web.2\" not found"
    );
    let plain = client.with("content-type", "application/json");
    let plain = plain
        .send("PATCH", &one, &series.to_string())
        .await
        .unwrap();
    assert_eq!(plain.status, 415);
}

#[tokio::test]
async fn an_event_may_leave_the_end_of_its_name_to_the_server() {
    let (server, client) = start();
    let mut event = event();
    event["metadata"] = json!({"generateName": "web-"});
    for _ in 0..2 {
        assert_eq!(client.post(EVENTS, &event).await.status, 201);
    }
    assert_eq!(server.objects(Kind::Event).len(), 2);
}

#[tokio::test]
async fn an_event_that_a_real_server_refuses_is_refused() {
    let (server, client) = start();
    let long = |length: usize| json!("x".repeat(length));
    for (field, value, code, said) in [
        ("eventTime", Value::Null, 422, "eventTime: Required value"),
        (
            "reportingController",
            json!(""),
            422,
            "reportingController: Required value",
        ),
        (
            "reportingInstance",
            long(129),
            422,
            "can have at most 128 characters",
        ),
        ("action", Value::Null, 422, "action: Required value"),
        ("reason", long(129), 422, "reason: Invalid value"),
        (
            "note",
            long(1025),
            422,
            "message: Invalid value: \"\": can have at most 1024 characters",
        ),
        ("type", json!("Error"), 422, "type: Invalid value"),
        (
            "reportingController",
            json!("a b"),
            422,
            "name part must consist of",
        ),
        (
            "metadata",
            json!({"generateName": "web."}),
            422,
            "metadata.generateName",
        ),
        ("series", json!({"count": 1}), 422, "series.count"),
        (
            "metadata",
            json!({"name": "a", "namespace": "other"}),
            400,
            "does not match the namespace",
        ),
        (
            "metadata",
            json!({}),
            422,
            "name or generateName is required",
        ),
        ("kind", json!("Pod"), 400, "another kind"),
    ] {
        let mut event = event();
        event[field] = value;
        let refused = client.post(EVENTS, &event).await.refusal();
        assert_eq!(refused.0, code, "{field}: {refused:?}");
        assert!(refused.2.contains(said), "{field}: {refused:?}");
    }
    assert!(server.objects(Kind::Event).is_empty());

    client.post(EVENTS, &event()).await;
    for patch in [
        json!({"note": "other"}),
        json!({"type": "Normal"}),
        json!({"series": {"count": 1}}),
    ] {
        let refused = client.patch(&format!("{EVENTS}/web.1"), &patch).await;
        assert_eq!(refused.status, 422, "{patch}");
        let causes = &refused.json()["details"]["causes"];
        assert_eq!(causes[0]["reason"], "FieldValueInvalid");
    }
}
