//! Tokens of ServiceAccounts: how one is asked for, and what is in it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::Cluster;

/// What a token is asked for with, as `kubectl create token` has it. Whatever is not set is as the API server
/// chooses.
#[derive(Clone, Debug, Default)]
pub struct Request {
    options: Vec<String>,
}

impl Request {
    /// Ends with the pod. Without the pod's own `uid` it would be for any pod of that name.
    #[must_use]
    pub fn bound_to_pod(self, name: &str, uid: &str) -> Self {
        self.option("--bound-object-kind=Pod".to_owned())
            .option(format!("--bound-object-name={name}"))
            .option(format!("--bound-object-uid={uid}"))
    }

    /// Is for this audience, and no longer for the API server.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.option(format!("--audience={audience}"))
    }

    /// Expires after this time.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.option(format!("--duration={}s", lifetime.as_secs()))
    }

    fn option(mut self, option: String) -> Self {
        self.options.push(option);
        self
    }
}

impl Cluster {
    /// Asks for a token of a ServiceAccount.
    pub fn create_token(&self, namespace: &str, name: &str, request: &Request) -> Result<String> {
        let mut args = vec!["create", "token", name, "--namespace", namespace];
        args.extend(request.options.iter().map(String::as_str));
        Ok(self.kubectl(&args)?.trim_end().to_owned())
    }
}

/// What a token says. Its signature is not looked at.
pub fn claims(token: &str) -> Result<Value> {
    part(token, 1)
}

/// How a token says that it is signed.
pub fn header(token: &str) -> Result<Value> {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Result<Value> {
    let parts: Vec<_> = token.split('.').collect();
    let [_, _, _] = parts[..] else {
        anyhow::bail!("a token has three parts, this has {}", parts.len());
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(parts[index]);
    serde_json::from_slice(&bytes.context("base64url")?).context("JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_has_no_claims() {
        for token in ["", "a.b", "e30.e30.x.y", "e30.!.x", "e30.YQ.x"] {
            assert!(claims(token).is_err(), "{token:?}");
        }
        assert_eq!(claims("e30.e30.x").unwrap(), serde_json::json!({}));
    }
}
