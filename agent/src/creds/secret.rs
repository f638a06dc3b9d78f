//! Text that must not be printed.

use std::{fmt, sync::OnceLock};

use bytes::Bytes;

/// A secret. `Debug` shows that there is one, `Display` does not exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who is entitled to it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// What somebody makes of secrets, made once: it is as secret as they are.
///
/// It adds nothing to them, so that it makes no difference between two that are equal.
#[derive(Clone, Default)]
pub struct Derived(OnceLock<Bytes>);

impl Derived {
    /// The text; the first one who wants it has it made. It must depend on nothing else than what this belongs to.
    pub fn get_or_make(&self, make: impl FnOnce() -> Bytes) -> Bytes {
        self.0.get_or_init(make).clone()
    }
}

impl PartialEq for Derived {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Derived {}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("wJalrXUtnFEMI")), "<secret>");
        let derived = Derived::default();
        derived.get_or_make(|| Bytes::from_static(b"wJalrXUtnFEMI"));
        assert_eq!(format!("{derived:?}"), "<secret>");
    }

    #[test]
    fn what_is_derived_is_made_once_and_makes_no_difference() {
        let derived = Derived::default();
        assert_eq!(
            derived.get_or_make(|| Bytes::from_static(b"first")),
            "first"
        );
        assert_eq!(
            derived.get_or_make(|| Bytes::from_static(b"second")),
            "first"
        );
        assert_eq!(derived, Derived::default());
    }
}
