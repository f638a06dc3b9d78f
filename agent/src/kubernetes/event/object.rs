//! An Event as the API server takes it. Pure.
//!
//! Its name follows from what it says, about whom, and who says it: written twice it is one Event.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::notices::Notice;

/// Who we are.
const CONTROLLER: &str = "bpf2iam.io/agent";

/// What we did, or did not do.
const ACTION: &str = "GiveCredentials";

/// Of a note, in bytes. (spec: `pkg/apis/core/validation/events.go` of Kubernetes, as the next two)
const NOTE: usize = 1024;

/// Of the reporting instance, in bytes.
const INSTANCE: usize = 128;

/// Of a name.
const NAME: usize = 253;

/// Bytes of the hash in a name.
const HASH: usize = 8;

/// The node as one who reports.
pub(super) fn instance(node: &str) -> Arc<str> {
    cut(node, INSTANCE).into()
}

/// The Event's name.
pub(super) fn name(notice: &Notice) -> String {
    let said = [notice.reason.as_str(), &notice.note];
    let mut digest = Sha256::new_with_prefix(notice.uid.to_string());
    for part in said {
        digest.update([0]);
        digest.update(part);
    }
    let digest: Vec<u8> = digest.finalize().into_iter().take(HASH).collect();
    let hash = hex::encode(digest);
    let pod = cut(notice.pod.name(), NAME - 1 - 2 * HASH);
    format!("{}.{hash}", pod.trim_end_matches(['.', '-']))
}

/// The Event, told for the first time.
pub(super) fn event(notice: &Notice, node: &str, now: Timestamp) -> Event {
    let namespace = notice.pod.namespace().to_owned();
    Event {
        action: Some(ACTION.to_owned()),
        event_time: Some(MicroTime(now)),
        metadata: ObjectMeta {
            name: Some(name(notice)),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        note: Some(note(&notice.note)),
        reason: Some(notice.reason.as_str().to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(notice.pod.name().to_owned()),
            namespace: Some(namespace),
            uid: Some(notice.uid.to_string()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(node.to_owned()),
        type_: Some("Warning".to_owned()),
        ..Event::default()
    }
}

/// What makes of an Event one that was told `times` times, the last time now.
pub(super) fn series(times: u32, now: Timestamp) -> Value {
    json!({"series": {"count": times, "lastObservedTime": MicroTime(now)}})
}

fn note(text: &str) -> String {
    const MORE: &str = "...";
    if text.len() <= NOTE {
        return text.to_owned();
    }
    format!("{}{MORE}", cut(text, NOTE - MORE.len()))
}

fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::is_dns_subdomain, notices::Reason};

    fn notice(pod: &str, note: &str) -> Notice {
        Notice {
            pod: format!("shop/{pod}").parse().unwrap(),
            uid: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap(),
            reason: Reason::RoleRefusedBySts,
            note: note.into(),
            times: 1,
        }
    }

    #[test]
    fn the_api_server_takes_every_name() {
        let long = "a".repeat(253);
        let dotted = format!("{}.{}", "b".repeat(235), "c".repeat(17));
        for pod in ["cart-0", "a", &long, &dotted] {
            let name = name(&notice(pod, "no"));
            assert!(is_dns_subdomain(&name), "{name}");
            assert!(name.len() <= NAME, "{name}");
        }
    }

    #[test]
    fn whoever_says_the_same_means_the_same_event() {
        let one = notice("cart-0", "no");
        let again = Notice {
            times: 7,
            ..one.clone()
        };
        assert_eq!(name(&one), name(&again));
        let another = "1f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0".parse().unwrap();
        for other in [
            notice("cart-0", "never"),
            notice("cart-1", "no"),
            Notice {
                uid: another,
                ..one.clone()
            },
            Notice {
                reason: Reason::RoleForbidden,
                ..one.clone()
            },
        ] {
            assert_ne!(name(&one), name(&other), "{other:?}");
        }
    }

    #[test]
    fn it_is_about_the_pod_as_the_server_knows_it() {
        let now = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let event = serde_json::to_value(event(&notice("cart-0", "no"), "node-1", now)).unwrap();
        let expected = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": event["metadata"]["name"], "namespace": "shop"},
            "action": "GiveCredentials",
            "eventTime": "2026-01-01T00:00:00.500000Z",
            "note": "no",
            "reason": "RoleRefusedBySTS",
            "regarding": {
                "apiVersion": "v1", "kind": "Pod", "name": "cart-0", "namespace": "shop",
                "uid": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            },
            "reportingController": "bpf2iam.io/agent",
            "reportingInstance": "node-1",
            "type": "Warning",
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn what_is_too_long_is_cut_between_two_characters() {
        for (text, length) in [
            ("x".repeat(1024), 1024),
            ("x".repeat(1025), 1024),
            ("\u{e9}".repeat(513), 1023),
        ] {
            assert_eq!(note(&text).len(), length);
        }
        assert!(note(&"x".repeat(2000)).ends_with("x..."));
        assert_eq!(instance(&"n".repeat(253)).len(), 128);
    }
}
