//! Events, checked as `events.k8s.io/v1` checks them: the agent's must be right to be kept by a real server.

use serde_json::{Map, Value};

use super::{
    kind::Kind,
    object::{Object, ObjectError},
    refusal::Refusal,
};

const WHAT: &str = "Event.events.k8s.io";

/// Fields that must have a text, and the most characters that each may have.
const TEXTS: [(&str, usize); 4] = [
    ("reportingController", 128),
    ("reportingInstance", 128),
    ("action", 128),
    ("reason", 128),
];

/// The most characters of the note.
const MAX_NOTE: usize = 1024;

/// What an event keeps for ever: only its series goes on.
const FIXED: [&str; 9] = [
    "regarding",
    "related",
    "reason",
    "note",
    "type",
    "eventTime",
    "action",
    "reportingController",
    "reportingInstance",
];

/// An event that shall be created in `namespace`.
pub(super) fn new(namespace: &str, body: &[u8]) -> Result<Object, Refusal> {
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return Err(Refusal::bad_request(
            "the object provided is unrecognized: it is no JSON object",
        ));
    };
    if fields
        .get("kind")
        .is_some_and(|kind| kind != Kind::Event.name())
    {
        return Err(Refusal::bad_request(
            "the object provided is of another kind than the path",
        ));
    }
    name(namespace, &mut fields)?;
    let event = Object::of_kind(Kind::Event, fields).map_err(Refusal::from)?;
    let mut faults = Vec::new();
    check_texts(&event, &mut faults);
    check_rest(&event, namespace, &mut faults);
    refuse(&event, &faults)?;
    Ok(event)
}

/// Whether `before` may become `after`.
pub(super) fn check_change(before: &Object, after: &Object) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    for field in FIXED {
        if before.fields().get(field) != after.fields().get(field) {
            faults.push(format!("{field}: Invalid value: field is immutable"));
        }
    }
    check_series(after, &mut faults);
    refuse(after, &faults)
}

fn refuse(event: &Object, faults: &[String]) -> Result<(), Refusal> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(WHAT, &event.key.name, faults))
}

/// Sets what the path says, and makes a name where only its beginning is given.
fn name(namespace: &str, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    let missing = || {
        Refusal::invalid(
            WHAT,
            "",
            &["metadata.name: Required value: name or generateName is required".to_owned()],
        )
    };
    let metadata = fields.get_mut("metadata").and_then(Value::as_object_mut);
    let metadata = metadata.ok_or_else(missing)?;
    let own = metadata
        .entry("namespace")
        .or_insert_with(|| namespace.into());
    if own != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if metadata.get("name").is_none() {
        let beginning = metadata.get("generateName").and_then(Value::as_str);
        let beginning = beginning.ok_or_else(missing)?;
        let end: u32 = rand::random::<u32>() & 0xf_ffff;
        let name = format!("{beginning}{end:05x}");
        metadata.insert("name".to_owned(), name.into());
    }
    Ok(())
}

fn check_texts(event: &Object, faults: &mut Vec<String>) {
    for (field, most) in TEXTS {
        let text = event.text(&[field]);
        if text.is_empty() {
            faults.push(format!("{field}: Required value"));
        } else if text.len() > most {
            faults.push(format!(
                "{field}: Invalid value: can have at most {most} characters"
            ));
        }
    }
    if event.text(&["note"]).len() > MAX_NOTE {
        faults.push(format!(
            "note: Invalid value: can have at most {MAX_NOTE} characters"
        ));
    }
}

fn check_rest(event: &Object, namespace: &str, faults: &mut Vec<String>) {
    if event.text(&["eventTime"]).is_empty() {
        faults.push("eventTime: Required value".to_owned());
    }
    if !matches!(event.text(&["type"]), "Normal" | "Warning") {
        faults.push("type: Invalid value: \"\": has invalid value".to_owned());
    }
    if event.text(&["regarding", "namespace"]) != namespace {
        faults
            .push("regarding.namespace: Invalid value: does not match event.namespace".to_owned());
    }
    check_series(event, faults);
}

fn check_series(event: &Object, faults: &mut Vec<String>) {
    let Some(series) = event
        .fields()
        .get("series")
        .filter(|series| !series.is_null())
    else {
        return;
    };
    if series
        .get("count")
        .and_then(Value::as_i64)
        .unwrap_or_default()
        < 2
    {
        faults.push("series.count: Invalid value: should be at least 2".to_owned());
    }
    if event.text(&["series", "lastObservedTime"]).is_empty() {
        faults.push("series.lastObservedTime: Required value".to_owned());
    }
}

impl From<ObjectError> for Refusal {
    fn from(invalid: ObjectError) -> Self {
        Self::bad_request(invalid.to_string())
    }
}
