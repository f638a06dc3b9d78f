//! Whose key a request was signed with. The SDK keeps to itself which keys it holds, but not what it sends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use aws_sdk_sts::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};

/// What the id of the key stands behind, in the header that is the signature.
const KEY: &str = "Credential=";

/// The last request's signature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signer {
    header: Arc<Mutex<String>>,
}

impl Signer {
    /// The id of the access key.
    pub(crate) fn key(&self) -> Result<String> {
        let header = self.last().clone();
        let (_, behind) = header.split_once(KEY).context("nothing was signed")?;
        let (key, _) = behind.split_once('/').context("no scope behind the key")?;
        Ok(key.to_owned())
    }

    fn last(&self) -> MutexGuard<'_, String> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for Signer {
    fn name(&self) -> &'static str {
        "Signer"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let header = context.request().headers().get("authorization");
        header.unwrap_or_default().clone_into(&mut self.last());
        Ok(())
    }
}
