//! The keys that the agent signs with, and where it finds them.

use std::sync::{Arc, Mutex};

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, error::CredentialsError, future},
};

use crate::world::{NODE_KEY, NODE_SECRET, NODE_TOKEN};

/// What is found there at a time. A clone is the same place.
#[derive(Clone, Debug)]
pub(crate) struct NodeKeys(Arc<Mutex<Option<&'static str>>>);

impl NodeKeys {
    /// These keys, by their id; or none.
    pub(crate) fn new(id: impl Into<Option<&'static str>>) -> Self {
        Self(Arc::new(Mutex::new(id.into())))
    }

    /// From now on there are these.
    pub(crate) fn change(&self, id: &'static str) {
        *self.0.lock().unwrap() = Some(id);
    }

    fn found(&self) -> Option<Credentials> {
        let id = *self.0.lock().unwrap();
        let token = Some(NODE_TOKEN.to_owned());
        Some(Credentials::new(id?, NODE_SECRET, token, None, "test"))
    }
}

impl Default for NodeKeys {
    fn default() -> Self {
        Self::new(NODE_KEY)
    }
}

impl ProvideCredentials for NodeKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let lack = || CredentialsError::not_loaded("nobody has any");
        future::ProvideCredentials::ready(self.found().ok_or_else(lack))
    }
}
