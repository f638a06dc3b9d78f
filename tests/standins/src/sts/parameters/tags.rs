//! Session tags.

use std::collections::BTreeMap;

use crate::sts::{
    code::{Code, Refusal},
    protocol::Form,
};

use super::constraint::{Text, too_many};

const KEY: Text = Text::of(
    "Tags.member.key",
    1,
    128,
    is_tag,
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+",
);
const VALUE: Text = Text::of(
    "Tags.member.value",
    0,
    256,
    is_tag,
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*",
);

/// Tags of a session.
const MAX: usize = 50;

/// The tags by key. Keys that differ only in case are the same key, and refused.
pub(super) fn read(form: &Form) -> Result<BTreeMap<String, String>, Refusal> {
    let mut tags = BTreeMap::new();
    let mut keys = Vec::new();
    for member in form.members("Tags") {
        let field = |name| form.get(&format!("{member}.{name}")).unwrap_or_default();
        let (key, value) = (KEY.check(field("Key"))?, VALUE.check(field("Value"))?);
        if key.to_lowercase().starts_with("aws:") {
            return Err(invalid("Tag keys must not begin with aws:"));
        }
        if keys.contains(&key.to_lowercase()) {
            return Err(invalid(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        keys.push(key.to_lowercase());
        tags.insert(key.to_owned(), value.to_owned());
    }
    match tags.len() {
        0..=MAX => Ok(tags),
        _ => Err(too_many("tags", MAX)),
    }
}

/// The keys of tags that the next session inherits: all of them must be of `tags`.
pub(super) fn transitive(
    form: &Form,
    tags: &BTreeMap<String, String>,
) -> Result<Vec<String>, Refusal> {
    let members = form.members("TransitiveTagKeys");
    let keys: Vec<_> = members
        .filter_map(|member| form.get(&member).map(ToOwned::to_owned))
        .collect();
    if keys.len() > MAX {
        return Err(too_many("transitiveTagKeys", MAX));
    }
    if !keys.iter().all(|key| tags.contains_key(key)) {
        return Err(invalid(
            "The specified transitive tag key must be included in the requested tags.",
        ));
    }
    Ok(keys)
}

fn invalid(message: &str) -> Refusal {
    Refusal::new(Code::ValidationError, message)
}

fn is_tag(letter: char) -> bool {
    letter.is_alphanumeric() || " _.:/=+-@".contains(letter)
}
