//! Text that must not be printed, and is wiped when nobody needs it any more.

use std::{fmt, io, sync::OnceLock};

use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// A secret. `Debug` shows that there is one, `Display` does not exist. Each clone wipes its own text when it goes.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes the text. What was given is wiped: to make it fit could leave it behind somewhere else.
    pub fn new(text: impl Into<String>) -> Self {
        let text = Zeroizing::new(text.into());
        Self(SecretString::from(text.as_str()))
    }

    /// The text, for the one who is entitled to it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A secret in the making. It leaves no copy behind, neither when it grows nor when it goes.
pub struct Draft(Zeroizing<Vec<u8>>);

impl Draft {
    /// Empty, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }
}

impl io::Write for Draft {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let needed = self.0.len() + part.len();
        if needed > self.0.capacity() {
            let mut larger = Self::with_capacity(needed.next_power_of_two());
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The text is not copied for whoever has a clone; the last one that goes wipes it.
impl From<Draft> for Bytes {
    fn from(draft: Draft) -> Self {
        Self::from_owner(draft.0)
    }
}

impl fmt::Debug for Draft {
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
    pub fn get_or_make(&self, make: impl FnOnce() -> Draft) -> Bytes {
        self.0.get_or_init(|| make().into()).clone()
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
mod tests;
