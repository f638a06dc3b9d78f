//! What Kubernetes calls its pods and containers.

use std::{fmt, str::FromStr};

use uuid::{
    Uuid,
    fmt::{Hyphenated, Simple},
};

/// An identifier that is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {wanted}")]
pub struct ParseError {
    value: String,
    wanted: &'static str,
}

impl ParseError {
    fn new(value: &str, wanted: &'static str) -> Self {
        Self {
            value: value.to_owned(),
            wanted,
        }
    }
}

/// A pod, as its cgroup names it.
///
/// Either the UID of a pod of the API server (a UUID), or for a static pod the kubelet's
/// `config.hash`: 32 hexadecimal digits without dashes. The two are different identifiers even when
/// their digits agree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodUid {
    uuid: Uuid,
    dashed: bool,
}

impl PodUid {
    /// Whether it is a static pod's hash, and not the UID of a pod of the API server.
    pub const fn is_static(self) -> bool {
        !self.dashed
    }
}

impl FromStr for PodUid {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let dashed = match text.len() {
            Hyphenated::LENGTH => Some(true),
            Simple::LENGTH => Some(false),
            _ => None,
        };
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let parsed = dashed
            .filter(|_| lower)
            .and_then(|dashed| Some((Uuid::try_parse(text).ok()?, dashed)));
        let (uuid, dashed) = parsed
            .ok_or_else(|| ParseError::new(text, "a pod UID (UUID, or 32 hexadecimal digits)"))?;
        Ok(Self { uuid, dashed })
    }
}

impl fmt::Display for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Much faster than what the two forms do for themselves: this is in the record of every request.
        let mut text = [0; Hyphenated::LENGTH];
        f.write_str(if self.dashed {
            self.uuid.hyphenated().encode_lower(&mut text)
        } else {
            self.uuid.simple().encode_lower(&mut text)
        })
    }
}

impl fmt::Debug for PodUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A container, as its runtime and the pod's status name it: 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId([u8; 32]);

impl FromStr for ContainerId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut id = [0; 32];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if lower && hex::decode_to_slice(text, &mut id).is_ok() {
            Ok(Self(id))
        } else {
            Err(ParseError::new(
                text,
                "a container id (64 hexadecimal digits)",
            ))
        }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_full| fmt::Error)?;
        f.write_str(str::from_utf8(&text).map_err(|_not_hex| fmt::Error)?)
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A DNS subdomain as RFC 1123 has it, which is what the API server takes as a name.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| is_dns_label(label, 253))
}

/// A DNS label as RFC 1123 has it, of at most `longest` characters.
pub(crate) fn is_dns_label(text: &str, longest: usize) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=longest).contains(&text.len())
        && text.bytes().all(|byte| inner(byte) || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Namespace and name of a pod: what people call it. A later pod may bear the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PodRef {
    namespace: String,
    name: String,
}

impl PodRef {
    /// Takes both as the API server gave them.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name within the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for PodRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split_once('/') {
            Some((namespace, name))
                if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
            {
                Ok(Self::new(namespace, name))
            }
            _ => Err(ParseError::new(text, "a pod (NAMESPACE/NAME)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
    const HASH: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    #[test]
    fn a_pod_uid_prints_as_it_was_written() {
        for text in [UUID, HASH, "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(text.parse::<PodUid>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_static_pods_hash_is_not_the_uuid_with_the_same_digits() {
        assert_ne!(
            UUID.parse::<PodUid>().unwrap(),
            HASH.parse::<PodUid>().unwrap()
        );
    }

    #[test]
    fn what_is_no_pod_uid_is_refused() {
        for text in [
            "",
            "0f1e2d3c",
            "0F1E2D3C-4b5a-6978-8796-a5b4c3d2e1f0",
            "0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0",
            "0f1e2d3c4-b5a-6978-8796-a5b4c3d2e1f0",
            "0f1e2d3c4b5a69788796a5b4c3d2e1fg",
            "+f1e2d3c4b5a69788796a5b4c3d2e1f0",
        ] {
            assert!(text.parse::<PodUid>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_container_id_prints_as_it_was_written_and_nothing_else_is_one() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<ContainerId>().unwrap().to_string(), text);
        for text in [
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
            &"A".repeat(64),
            &String::new(),
        ] {
            assert!(text.parse::<ContainerId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pod_ref_has_both_parts() {
        let pod = "shop/cart-0".parse::<PodRef>().unwrap();
        assert_eq!((pod.namespace(), pod.name()), ("shop", "cart-0"));
        assert_eq!(pod.to_string(), "shop/cart-0");
        for text in ["shop", "/cart", "shop/", "a/b/c", ""] {
            assert!(text.parse::<PodRef>().is_err(), "{text}");
        }
    }
}
