//! Events, checked as `events.k8s.io/v1` checks them: the agent's must be right to be kept by a real server.

use serde_json::{Map, Value};

use crate::random;

use super::{
    fault::Fault,
    kind::Kind,
    object::{Object, ObjectError},
    refusal::Refusal,
};

/// Fields that must have a text.
const TEXTS: [&str; 4] = [
    "reportingController",
    "reportingInstance",
    "action",
    "reason",
];

/// The most bytes of each.
const MAX_TEXT: usize = 128;

/// The most bytes of the note. It is called a message in what is said about it, as in older events.
const MAX_NOTE: usize = 1024;

/// What generated names end with.
const SUFFIX: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

const NOTE: &str = "message";

/// What an event keeps for ever, and what it is called: only its series goes on.
const FIXED: [(&str, &str); 9] = [
    ("regarding", "involvedObject"),
    ("related", "related"),
    ("reason", "reason"),
    ("note", NOTE),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
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
    check_rest(&event, &mut faults);
    refuse(&event, &faults)?;
    Ok(event)
}

/// Whether `before` may become `after`.
pub(super) fn check_change(before: &Object, after: &Object) -> Result<(), Refusal> {
    let mut faults = Vec::new();
    for (field, called) in FIXED {
        let (old, new) = (before.fields().get(field), after.fields().get(field));
        if old != new {
            let new = new.unwrap_or(&Value::Null);
            faults.push(Fault::invalid(called, new, "field is immutable"));
        }
    }
    check_series(after, &mut faults);
    refuse(after, &faults)
}

fn refuse(event: &Object, faults: &[Fault]) -> Result<(), Refusal> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(invalid(&event.key.name, faults))
}

/// Events are said to have no group, as older ones had none.
fn invalid(name: &str, faults: &[Fault]) -> Refusal {
    Refusal::invalid("", Kind::Event.name(), name, faults)
}

/// Sets what the path says, and makes a name where only its beginning is given.
fn name(namespace: &str, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
    let missing = || {
        let what = "name or generateName is required";
        invalid("", &[Fault::required("metadata.name", what)])
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
        let name = random::text(beginning, SUFFIX, beginning.len() + 5);
        if beginning.ends_with('.') {
            let what = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'";
            let fault = Fault::invalid("metadata.generateName", &beginning.into(), what);
            return Err(invalid(&name, &[fault]));
        }
        metadata.insert("name".to_owned(), name.into());
    }
    Ok(())
}

fn check_texts(event: &Object, faults: &mut Vec<Fault>) {
    for field in TEXTS {
        let text = event.text(&[field]);
        if text.is_empty() {
            faults.push(Fault::required(field, ""));
        }
        if text.len() > MAX_TEXT {
            let what = format!("can have at most {MAX_TEXT} characters");
            faults.push(Fault::invalid(field, &"".into(), &what));
        }
    }
    let reporter = event.text(&[TEXTS[0]]);
    if !reporter.is_empty() && !is_qualified(reporter) {
        let what = "name part must consist of alphanumeric characters, '-', '_' or '.', \
                    and must start and end with an alphanumeric character";
        faults.push(Fault::invalid(TEXTS[0], &reporter.into(), what));
    }
    if event.text(&["note"]).len() > MAX_NOTE {
        let what = format!("can have at most {MAX_NOTE} characters");
        faults.push(Fault::invalid(NOTE, &"".into(), &what));
    }
}

/// Whether it is `NAME` or `DOMAIN/NAME`.
fn is_qualified(text: &str) -> bool {
    let (domain, name) = text.split_once('/').unwrap_or(("x", text));
    let good = |part: &str, also: &str| {
        let is_word = |letter: char| letter.is_ascii_alphanumeric();
        part.starts_with(is_word)
            && part.ends_with(is_word)
            && part
                .chars()
                .all(|letter| is_word(letter) || also.contains(letter))
    };
    good(domain, "-.") && good(name, "-_.")
}

fn check_rest(event: &Object, faults: &mut Vec<Fault>) {
    if event.text(&["eventTime"]).is_empty() {
        faults.push(Fault::required("eventTime", ""));
    }
    let kind = event.text(&["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        let what = format!("has invalid value: {kind}");
        faults.push(Fault::invalid("type", &"".into(), &what));
    }
    check_series(event, faults);
}

fn check_series(event: &Object, faults: &mut Vec<Fault>) {
    let series = event.fields().get("series");
    let Some(series) = series.filter(|series| !series.is_null()) else {
        return;
    };
    let count = series.get("count").and_then(Value::as_i64);
    if count.unwrap_or_default() < 2 {
        let what = "should be at least 2";
        faults.push(Fault::invalid("series.count", &"".into(), what));
    }
    if event.text(&["series", "lastObservedTime"]).is_empty() {
        faults.push(Fault::required("series.lastObservedTime", ""));
    }
}

impl From<ObjectError> for Refusal {
    fn from(invalid: ObjectError) -> Self {
        Self::bad_request(invalid.to_string())
    }
}
