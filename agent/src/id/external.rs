//! The id that a role's trust policy may ask for, checked as STS would.

use std::{fmt, str::FromStr, sync::Arc};

/// An external id: 2 to 1224 letters, digits and `_+=,.@:/-` (STS, `AssumeRole`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ExternalId(Arc<str>);

/// Why a text is no external id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no external id that STS takes (2 to 1224 of letters, digits and _+=,.@:/-)")]
pub struct InvalidExternalId(String);

impl ExternalId {
    /// As STS is given it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExternalId {
    type Err = InvalidExternalId;

    fn from_str(text: &str) -> Result<Self, InvalidExternalId> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        if (2..=1224).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            // A text of any length would be repeated in logs.
            let start = text.chars().take(64).collect();
            Err(InvalidExternalId(start))
        }
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sts_takes_is_taken_and_nothing_else() {
        let long = "x".repeat(1224);
        for text in ["ab", "a-b_c+d=e,f.g@h:i/j", "12", &long] {
            assert_eq!(text.parse::<ExternalId>().unwrap().to_string(), text);
        }
        let longer = "x".repeat(1225);
        for text in ["", "a", " ab", "a b", "ab\n", "caf\u{e9}", "a;b", &longer] {
            let error = text.parse::<ExternalId>().unwrap_err().to_string();
            assert!(error.len() < 200, "{error}");
        }
    }
}
