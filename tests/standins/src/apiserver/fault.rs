//! What is wrong with a field of an object.

use std::fmt;

use serde_json::{Value, json};

/// A field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    field: &'static str,
    reason: &'static str,
    message: String,
}

impl Fault {
    /// There is no value.
    pub(super) fn required(field: &'static str, message: &str) -> Self {
        Self::new(field, "FieldValueRequired", "Required value", message)
    }

    /// There may be no value.
    pub(super) fn forbidden(field: &'static str, message: &str) -> Self {
        Self::new(field, "FieldValueForbidden", "Forbidden", message)
    }

    /// The value is wrong. Events do not say their values.
    pub(super) fn invalid(field: &'static str, value: &Value, message: &str) -> Self {
        let what = format!("Invalid value: {value}");
        Self::new(field, "FieldValueInvalid", &what, message)
    }

    /// The value is none of those that there are.
    pub(super) fn unsupported(field: &'static str, value: &str, supported: &str) -> Self {
        let what = format!("Unsupported value: \"{value}\"");
        let message = format!("supported values: {supported}");
        Self::new(field, "FieldValueNotSupported", &what, &message)
    }

    fn new(field: &'static str, reason: &'static str, what: &str, message: &str) -> Self {
        let message = match message {
            "" => what.to_owned(),
            message => format!("{what}: {message}"),
        };
        Self {
            field,
            reason,
            message,
        }
    }

    /// As it stands in the details of a `Status`.
    pub(super) fn cause(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}
