//! The secret that tokens are made with, and where it comes from.

use std::{error::Error, fmt};

use rand::{TryRng as _, rngs::SysRng};

/// The secret that tokens are made with.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A new one, from the system's randomness.
    pub fn generate() -> Result<Self, GenerateError> {
        let mut key = [0; 32];
        SysRng.try_fill_bytes(&mut key).map_err(GenerateError)?;
        Ok(Self(key))
    }

    /// One that was kept.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one who keeps them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<key>")
    }
}

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a key for session tokens")]
pub struct GenerateError(#[source] rand::rngs::SysError);

/// Keeps the key.
///
/// Some SDKs never recover from a token that has become invalid: they are without keys until it would have
/// expired, up to six hours. So the key outlives the agent: in a pinned map, in kernel memory and never on a disk. It ends
/// with the boot, as [`BootId`](super::BootId) says it must.
pub trait KeyStore {
    /// Why there is no key.
    type Error: Error + Send + Sync + 'static;

    /// The key of the agent before this one if there is one, else a new one that is kept from now on.
    fn key(&mut self) -> Result<Key, Self::Error>;
}
