//! One state of one object, and its JSON: made once, whoever asks and however often.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    format::Format,
    kind::{Key, Kind},
};

/// A resource version. Versions are compared here only; clients may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub(super) u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why there is no such object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// It is no JSON object.
    #[error("an object must be a JSON object")]
    NotAnObject,
    /// Its kind is not one of those that are kept.
    #[error("objects of kind {0:?} are not kept")]
    Kind(String),
    /// It has no name, or no namespace, or a namespace although its kind has none.
    #[error("a {0} has a name, and a namespace just where its kind is namespaced")]
    Name(Kind),
    /// There is none of this name.
    #[error("there is no {kind} {namespace}/{name}")]
    Missing {
        /// Of this kind.
        kind: Kind,
        /// In this namespace.
        namespace: String,
        /// With this name.
        name: String,
    },
}

/// An object in one state.
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) key: Key,
    pub(super) version: Version,
    /// Without `apiVersion` and `kind`: whether they are sent depends on where.
    fields: Map<String, Value>,
    full: OnceLock<Bytes>,
    metadata: OnceLock<Bytes>,
}

impl Object {
    /// Takes an object as a manifest spells it. Its version comes later.
    pub(super) fn parse(value: Value) -> Result<Self, ObjectError> {
        let Value::Object(mut fields) = value else {
            return Err(ObjectError::NotAnObject);
        };
        let kind = fields.remove("kind");
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
        let kind = Kind::named(kind).ok_or_else(|| ObjectError::Kind(kind.to_owned()))?;
        Self::of_kind(kind, fields)
    }

    /// The same where the kind is known.
    pub(super) fn of_kind(kind: Kind, mut fields: Map<String, Value>) -> Result<Self, ObjectError> {
        fields.retain(|name, _| name != "apiVersion" && name != "kind");
        let text = |name: &str| {
            let metadata = fields.get("metadata")?;
            metadata.get(name)?.as_str().filter(|text| !text.is_empty())
        };
        let namespace = text("namespace");
        let (Some(name), true) = (text("name"), namespace.is_some() == kind.is_namespaced()) else {
            return Err(ObjectError::Name(kind));
        };
        let version = text("resourceVersion").and_then(|version| version.parse().ok());
        Ok(Self {
            kind,
            key: Key::new(namespace.unwrap_or_default(), name),
            version: Version(version.unwrap_or_default()),
            fields,
            full: OnceLock::new(),
            metadata: OnceLock::new(),
        })
    }

    /// The same at another version.
    pub(super) fn at(&self, version: Version) -> Self {
        let mut fields = self.fields.clone();
        set_metadata(&mut fields, "resourceVersion", version.to_string());
        Self {
            kind: self.kind,
            key: self.key.clone(),
            version,
            fields,
            full: OnceLock::new(),
            metadata: OnceLock::new(),
        }
    }

    /// Gives it its version, before anybody has seen it.
    pub(super) fn set_version(&mut self, version: Version) {
        set_metadata(&mut self.fields, "resourceVersion", version.to_string());
        self.version = version;
    }

    /// Sets a field of the metadata, unless the object has it already.
    pub(super) fn default_metadata(&mut self, name: &str, value: impl FnOnce() -> String) {
        if self.text(&["metadata", name]).is_empty() {
            set_metadata(&mut self.fields, name, value());
        }
    }

    /// All of it, as a client sees it.
    pub(super) fn value(&self) -> Value {
        let mut fields = self.fields.clone();
        fields.insert("kind".to_owned(), self.kind.name().into());
        fields.insert("apiVersion".to_owned(), self.kind.api_version().into());
        Value::Object(fields)
    }

    /// All of it, without its type.
    pub(super) const fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// The text at `path`; empty where there is none.
    pub(super) fn text(&self, path: &[&str]) -> &str {
        let Some((first, rest)) = path.split_first() else {
            return "";
        };
        let start = self.fields.get(*first);
        let end = rest.iter().fold(start, |value, name| value?.get(name));
        end.and_then(Value::as_str).unwrap_or_default()
    }

    /// Writes it with its type: an answer, or in a watch.
    pub(super) fn write(&self, format: Format, json: &mut Vec<u8>) {
        let own = (self.kind.name(), self.kind.api_version());
        let (kind, version) = format.type_meta().unwrap_or(own);
        json.extend_from_slice(b"{\"kind\":\"");
        json.extend_from_slice(kind.as_bytes());
        json.extend_from_slice(b"\",\"apiVersion\":\"");
        json.extend_from_slice(version.as_bytes());
        json.extend_from_slice(b"\",");
        // There is metadata in every object, so that something follows the brace.
        json.extend_from_slice(self.body(format).get(1..).unwrap_or_default());
    }

    /// Writes it as the item of a list: items of typed lists go without their type.
    pub(super) fn write_item(&self, format: Format, json: &mut Vec<u8>) {
        match format {
            Format::Full => json.extend_from_slice(self.body(format)),
            Format::Metadata => self.write(format, json),
        }
    }

    fn body(&self, format: Format) -> &Bytes {
        match format {
            Format::Full => self.full.get_or_init(|| render(&self.fields)),
            Format::Metadata => self.metadata.get_or_init(|| {
                let metadata = self.fields.get("metadata");
                render(&json!({ "metadata": metadata }))
            }),
        }
    }
}

fn render(value: &impl serde::Serialize) -> Bytes {
    // JSON values can always be written as JSON.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn set_metadata(fields: &mut Map<String, Value>, name: &str, value: String) {
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert(name.to_owned(), value.into());
    }
}

/// Changes `target` as a merge patch says (RFC 7386).
pub(super) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(name);
            }
            Value::Object(patch) => {
                let below = target.entry(name.as_str()).or_insert(Value::Null);
                if !below.is_object() {
                    *below = json!({});
                }
                if let Some(below) = below.as_object_mut() {
                    merge(below, patch);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Object {
        let pod = json!({"kind": "Pod", "apiVersion": "v1",
            "metadata": {"namespace": "shop", "name": "web"}, "spec": {"nodeName": "n"}});
        Object::parse(pod).unwrap().at(Version(7))
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut json = Vec::new();
        write(&mut json);
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn its_type_depends_on_where_it_is_sent() {
        let pod = pod();
        let metadata = json!({"namespace": "shop", "name": "web", "resourceVersion": "7"});
        let full = json!({"metadata": metadata, "spec": {"nodeName": "n"}});
        let mut typed = full.clone();
        typed["kind"] = json!("Pod");
        typed["apiVersion"] = json!("v1");
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        assert_eq!(written(|json| pod.write(Format::Full, json)), typed);
        assert_eq!(written(|json| pod.write_item(Format::Full, json)), full);
        assert_eq!(written(|json| pod.write(Format::Metadata, json)), partial);
        assert_eq!(
            written(|json| pod.write_item(Format::Metadata, json)),
            partial
        );
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for value in [
            json!(1),
            json!({}),
            json!({"kind": "Lamp", "metadata": {"name": "a"}}),
            json!({"kind": "Pod"}),
            json!({"kind": "Pod", "metadata": {"name": "a"}}),
            json!({"kind": "Pod", "metadata": {"name": "", "namespace": "n"}}),
            json!({"kind": "Namespace", "metadata": {"name": "a", "namespace": "n"}}),
            json!({"kind": "Namespace", "metadata": {"name": 1}}),
        ] {
            assert!(Object::parse(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_merge_patch_sets_removes_and_goes_deep() {
        let mut target = json!({"a": 1, "b": {"c": 2, "d": 3}, "e": [1], "f": 4});
        let patch = json!({"a": null, "b": {"c": 5}, "e": [2], "f": {"g": 6, "h": null}});
        merge(target.as_object_mut().unwrap(), patch.as_object().unwrap());
        assert_eq!(
            target,
            json!({"b": {"c": 5, "d": 3}, "e": [2], "f": {"g": 6}})
        );
    }
}
