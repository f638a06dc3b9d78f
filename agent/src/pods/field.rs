//! Where in an object a value stands, as people write it: `status.podIPs[0].ip`.

use std::fmt;

use serde_path_to_error::{Path, Segment};

/// A way down from an object to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field(Vec<Step>);

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the value under this key.
    Key(String),
    /// To the element with this number, counted from 0.
    Index(usize),
}

impl Field {
    /// The steps, from the object down.
    pub(super) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The value under `key` of this one.
    #[must_use]
    pub(super) fn key(mut self, key: &str) -> Self {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    /// The element `index` of this one.
    #[must_use]
    pub(super) fn index(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }
}

impl<const N: usize> From<[&str; N]> for Field {
    fn from(keys: [&str; N]) -> Self {
        keys.into_iter().fold(Self::default(), Self::key)
    }
}

impl From<&Path> for Field {
    fn from(path: &Path) -> Self {
        let steps = path.iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            // No way leads further down in a manifest.
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[\"{}\"]", key.escape_debug())?,
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can be told from the dots around it.
fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_prints_as_people_write_it() {
        let annotations = Field::from(["metadata", "annotations"]);
        let ips = Field::from(["status", "podIPs"]);
        for (field, printed) in [
            (Field::default(), ""),
            (Field::from(["kind"]), "kind"),
            (annotations.clone(), "metadata.annotations"),
            (ips.index(0).key("ip"), "status.podIPs[0].ip"),
            (
                annotations.clone().key("iam.amazonaws.com/role"),
                r#"metadata.annotations["iam.amazonaws.com/role"]"#,
            ),
            (annotations.key("a\"\n"), r#"metadata.annotations["a\"\n"]"#),
        ] {
            assert_eq!(field.to_string(), printed);
        }
    }
}
