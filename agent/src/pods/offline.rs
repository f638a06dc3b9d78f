//! Manifests of any node, read once: for questions about pods where no agent runs.

use std::{path::Path, sync::Arc};

use crate::id::PodRef;

use super::{
    ServiceAccount, Subject,
    annotation::Keys,
    directory::{self, Reading},
    manifest::Reads,
};

pub use directory::Error;

/// What is in a directory of manifests.
#[derive(Debug)]
pub struct Manifests {
    reading: Reading,
    nobody: Arc<ServiceAccount>,
}

impl Manifests {
    /// Reads the manifests in `dir`.
    pub fn read(dir: &Path, keys: &Keys) -> Result<Self, Error> {
        let reads = Reads {
            node: None,
            keys: keys.clone(),
        };
        Ok(Self {
            reading: directory::read(dir, &reads)?,
            nobody: Arc::default(),
        })
    }

    /// The pod called `name`, if it has not ended.
    pub fn pod(&self, name: &PodRef) -> Option<&Subject> {
        self.reading.pods.iter().find(|one| one.pod.name == *name)
    }

    /// A ServiceAccount. One without a manifest has no annotations.
    pub fn service_account(&self, namespace: &str, name: &str) -> &Arc<ServiceAccount> {
        let known = self.reading.around.service_account(namespace, name);
        known.unwrap_or(&self.nobody)
    }

    /// What is wrong in the directory and does not count.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        self.reading.errors.iter().map(ToString::to_string)
    }
}
