//! The service could not be asked.

use std::sync::Arc;

use crate::config::MetadataAddr;

use super::http::Failure;

/// The service could not be asked, or did not say what it was asked for. Copies cost nothing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot ask the metadata service at {addr}")]
pub struct Error {
    addr: MetadataAddr,
    #[source]
    failure: Arc<Failure>,
}

impl Error {
    pub(super) const fn new(addr: MetadataAddr, failure: Arc<Failure>) -> Self {
        Self { addr, failure }
    }

    /// What went wrong.
    pub fn failure(&self) -> &Failure {
        &self.failure
    }
}
