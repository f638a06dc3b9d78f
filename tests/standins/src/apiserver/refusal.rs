//! Refusals, as the API server spells them: an HTTP status with a `Status` object.

use bytes::Bytes;
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};

use crate::serve::Response;

use super::{
    ask::{Ask, Target},
    fault::Fault,
    kind::Kind,
    object::Version,
};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: StatusCode,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) details: Value,
    /// In seconds.
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    pub(super) fn new(code: StatusCode, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: Value::Null,
            retry_after: None,
        }
    }

    /// The same, with details that say nothing.
    fn about_nothing(mut self) -> Self {
        self.details = json!({});
        self
    }

    /// The same, about an object.
    fn about(mut self, kind: Kind, name: &str) -> Self {
        self.details = details(kind.group(), kind.plural(), name);
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// There is no such resource.
    pub(super) fn unknown() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about_nothing()
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about_nothing()
    }

    pub(super) fn not_acceptable(message: &str) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(super) fn unsupported_patch() -> Self {
        let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let message = "415: Unsupported Media Type";
        Self::new(code, "UnsupportedMediaType", message).about_nothing()
    }

    pub(super) fn not_found(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name)
    }

    pub(super) fn already_exists(kind: Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name)
    }

    /// An object of a kind of `group`, which may be empty, has faults.
    pub(super) fn invalid(group: &str, kind: &str, name: &str, faults: &[Fault]) -> Self {
        let what = match group {
            "" => kind.to_owned(),
            group => format!("{kind}.{group}"),
        };
        let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let all = match &texts[..] {
            [fault] => fault.clone(),
            _ => format!("[{}]", texts.join(", ")),
        };
        let message = format!("{what} \"{name}\" is invalid: {all}");
        let mut invalid = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        invalid.details = details(group, kind, name);
        invalid.details["causes"] = faults.iter().map(Fault::cause).collect();
        invalid
    }

    pub(super) fn conflict(what: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        let mut conflict = Self::new(StatusCode::CONFLICT, "Conflict", message);
        conflict.details = details("", what, name);
        conflict
    }

    /// Changes since `wanted` are not known any more; `oldest` is the first version from which they are.
    pub(super) fn too_old(wanted: Version, oldest: Version) -> Self {
        Self::expired(format!("too old resource version: {wanted} ({oldest})"))
    }

    /// A list of a version that is not kept any more.
    pub(super) fn list_gone() -> Self {
        Self::expired("The resourceVersion for the provided list is too old.")
    }

    /// A page of a list that is not kept any more.
    pub(super) fn page_gone() -> Self {
        Self::expired(
            "The provided continue parameter is too old to display a consistent list result. \
             You must start a new list without the continue parameter.",
        )
    }

    fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// A version that is not reached yet.
    pub(super) fn too_large(wanted: Version, current: Version) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        let mut refusal = Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message);
        refusal.details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        refusal
    }

    /// `user` lacks a permission, in the words of RBAC.
    pub(super) fn forbidden(user: &str, ask: &Ask) -> Self {
        let verb = ask.verb.name();
        let (kind, subresource, namespace, name) = match &ask.target {
            Target::Collection(kind, namespace) => (*kind, "", namespace.as_str(), ""),
            // A namespace is in itself.
            Target::Object(Kind::Namespace, key) => {
                (Kind::Namespace, "", key.name.as_str(), key.name.as_str())
            }
            Target::Object(kind, key) => (*kind, "", key.namespace.as_str(), key.name.as_str()),
            Target::Token(key) => (
                Kind::ServiceAccount,
                "/token",
                key.namespace.as_str(),
                key.name.as_str(),
            ),
            Target::Keys
            | Target::Discovery
            | Target::Release
            | Target::Health
            | Target::Unknown => {
                let message = format!(
                    "forbidden: User \"{user}\" cannot {verb} path \"{}\"",
                    ask.path
                );
                return Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about_nothing();
            }
        };
        let object = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let (plural, group) = (kind.plural(), kind.group());
        let message = format!(
            "{}{object} is forbidden: User \"{user}\" cannot {verb} resource \"{plural}{subresource}\" \
             in API group \"{group}\" {place}",
            kind.resource()
        );
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name)
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.as_str().into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        if let Some(seconds) = self.retry_after {
            status["details"]["retryAfterSeconds"] = seconds.into();
        }
        status
    }

    /// The whole answer.
    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Bytes::from(self.status().to_string()));
        *response.status_mut() = self.code;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn details(group: &str, kind: &str, name: &str) -> Value {
    let fields = [("name", name), ("group", group), ("kind", kind)];
    let set = fields.into_iter().filter(|(_, value)| !value.is_empty());
    set.map(|(field, value)| (field.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
