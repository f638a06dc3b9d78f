//! The instance identity document without what only concerns the node.
//!
//! Its keys all stay, in their order, and what pods do not get is null. Java's SDKs refuse a document that lacks
//! `imageId`, `kernelId`, `pendingTime` or `privateIp`, but take null there (Jackson's required properties); for Go, .NET and
//! Terraform null is an empty value. Of keys that nobody here knows nobody can say what is in them: they are dropped.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::layout;

/// A real one has 500 bytes.
const LONGEST: usize = 16 * 1024;

/// What becomes of a value: none if pods do not get it, or if it is not what it should be.
type Kept = fn(&str) -> Option<String>;

/// The keys, in EC2's order, and what pods get of them.
const FIELDS: [(&str, Kept); 15] = [
    ("accountId", account),
    ("architecture", word),
    ("availabilityZone", word),
    ("billingProducts", nothing),
    ("devpayProductCodes", nothing),
    ("marketplaceProductCodes", nothing),
    ("imageId", nothing),
    ("instanceId", word),
    ("instanceType", instance_type),
    ("kernelId", nothing),
    ("pendingTime", time),
    ("privateIp", nothing),
    ("ramdiskId", nothing),
    ("region", word),
    ("version", word),
];

/// The version of all documents so far.
const VERSION: &str = "2017-09-30";

/// `document`, the real service's, with what SDKs need and no more, laid out in the same way. None if it is no such
/// document.
pub fn without_secrets(document: &[u8]) -> Option<String> {
    if document.len() > LONGEST {
        return None;
    }
    serde_json::from_slice::<Document>(document).ok()?.write()
}

/// A document of a machine of which only this is `known`, in any order. None without a Region.
pub(super) fn made(known: &[(&str, Option<&str>)]) -> Option<String> {
    let fields = FIELDS.map(|(key, kept)| {
        let value = known.iter().find(|(name, _)| *name == key);
        let value = value.and_then(|(_, value)| kept((*value)?));
        (
            key,
            value.or_else(|| (key == "version").then(|| VERSION.to_owned())),
        )
    });
    Document(fields.into()).write()
}

/// What pods get of one, in its order.
struct Document(Vec<(&'static str, Option<String>)>);

impl Document {
    /// None without a Region: that is what it is read for.
    fn write(&self) -> Option<String> {
        let mut region = self.0.iter().filter(|(key, _)| *key == "region");
        region.next()?.1.as_ref()?;
        let mut text = Vec::new();
        layout::write(self, &mut text).ok()?;
        String::from_utf8(text).ok()
    }

    fn add(&mut self, key: &str, value: &Value) {
        let known = FIELDS.into_iter().find(|(known, _)| *known == key);
        if let Some((key, kept)) = known {
            self.0.push((key, value.as_str().and_then(kept)));
        }
    }

    fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| *known == key)
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

/// Reads entries one by one, so that their order stays.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an identity document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Document, A::Error> {
        let mut document = Document(Vec::new());
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            // Of a key that is there twice, the first: nobody can tell which one a client would take.
            if !document.has(&key) {
                document.add(&key, &value);
            }
        }
        Ok(document)
    }
}

fn nothing(_value: &str) -> Option<String> {
    None
}

fn account(value: &str) -> Option<String> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    (value.len() == 12 && digits).then(|| value.to_owned())
}

/// What names and dates are made of. No address is.
fn word(value: &str) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let fits = (1..=64).contains(&value.len());
    (fits && value.bytes().all(is_plain)).then(|| value.to_owned())
}

/// `m5.large`, or a name of another kind of machine.
fn instance_type(value: &str) -> Option<String> {
    match value.split_once('.') {
        Some((family, size)) => Some(format!("{}.{}", word(family)?, word(size)?)),
        None => word(value),
    }
}

/// Go does not decode the whole document if this is there and not of RFC 3339.
fn time(value: &str) -> Option<String> {
    let time: Timestamp = value.parse().ok()?;
    let whole = Timestamp::from_second(time.as_second()).ok()?.to_string();
    (whole.len() == "2026-01-02T03:04:05Z".len()).then_some(whole)
}

#[cfg(test)]
mod tests;
