//! The key of session tokens, in a map of the programs: it outlives the agent, and ends with the boot.

use std::path::PathBuf;

use crate::{
    imds::token::{GenerateError, Key, KeyStore},
    redirect::{self, TokenKey},
};

/// Keeps the key in a pinned map.
#[derive(Debug)]
pub(super) struct Kept {
    /// Where we keep it.
    pub(super) ours: TokenKey,
    /// Where other versions have pinned what they kept.
    pub(super) others: Vec<PathBuf>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// None can be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// None can be kept.
    #[error(transparent)]
    Keep(#[from] redirect::Error),
}

impl KeyStore for Kept {
    type Error = Error;

    fn key(&mut self) -> Result<Key, Error> {
        if let Some(bytes) = self.ours.get()? {
            return Ok(Key::new(bytes));
        }
        let theirs = self.others.iter().find_map(|dir| TokenKey::of_version(dir));
        let key = match theirs {
            Some(bytes) => Key::new(bytes),
            None => Key::generate()?,
        };
        self.ours.set(*key.expose())?;
        Ok(key)
    }
}
