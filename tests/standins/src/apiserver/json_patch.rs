//! JSON patches (RFC 6902), as far as the agent sends them: `test` and `remove`.

use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// Changes an object. All of the patch applies, or nothing of it counts.
pub(super) fn apply(fields: &mut Map<String, Value>, patch: &[Value]) -> Result<(), Refusal> {
    let mut object = Value::Object(std::mem::take(fields));
    for step in patch {
        let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
        let path = text("path");
        let applies = match text("op") {
            "test" => object.pointer(path) == step.get("value"),
            "remove" => remove(&mut object, path),
            other => {
                let message = format!("this stand-in knows no JSON patch with {other:?}");
                return Err(Refusal::bad_request(message));
            }
        };
        if !applies {
            return Err(does_not_apply());
        }
    }
    if let Value::Object(changed) = object {
        *fields = changed;
    }
    Ok(())
}

fn remove(object: &mut Value, path: &str) -> bool {
    let Some((parent, last)) = path.rsplit_once('/') else {
        return false;
    };
    match object.pointer_mut(parent) {
        Some(Value::Array(items)) => match last.parse() {
            Ok(at) if at < items.len() => {
                items.remove(at);
                true
            }
            _ => false,
        },
        Some(Value::Object(fields)) => fields.remove(last).is_some(),
        _ => false,
    }
}

/// A real server does not say which step it was.
fn does_not_apply() -> Refusal {
    let message = "the server rejected our request due to an error in our request";
    let mut refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    refusal.details = json!({});
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn patched(object: Value, patch: Value) -> Result<Value, u16> {
        let (Value::Object(mut fields), Value::Array(patch)) = (object, patch) else {
            panic!("an object, and a list of steps");
        };
        let applied = apply(&mut fields, &patch);
        applied.map_err(|refusal| refusal.code.as_u16())?;
        Ok(fields.into())
    }

    #[test]
    fn what_is_tested_for_has_to_be_there_and_what_is_removed_too() {
        let object = || json!({"a": [{"k": 1}, {"k": 2}], "b": 3});
        let test = |path: &str, value: Value| json!({"op": "test", "path": path, "value": value});
        let remove = |path: &str| json!({"op": "remove", "path": path});
        let second = test("/a/1", json!({"k": 2}));
        assert_eq!(
            patched(object(), json!([second, remove("/a/1"), remove("/b")])),
            Ok(json!({"a": [{"k": 1}]}))
        );
        for wrong in [
            json!([test("/a/0", json!({"k": 2})), remove("/a/0")]),
            json!([test("/a/0", json!({"k": 1, "l": 1}))]),
            json!([test("/a/2", json!({"k": 2}))]),
            json!([remove("/a/2")]),
            json!([remove("/c")]),
            json!([remove("/c/0")]),
            json!([remove("/a/0"), second]),
        ] {
            assert_eq!(patched(object(), wrong.clone()), Err(422), "{wrong}");
        }
        let unknown = json!([{"op": "move", "from": "/a", "path": "/c"}]);
        assert_eq!(patched(object(), unknown), Err(400));
    }
}
