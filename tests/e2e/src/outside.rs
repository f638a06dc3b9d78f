//! The stand-ins beyond the node's gateway: what they have seen.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The metadata service and STS of the cluster.
#[derive(Clone, Debug)]
pub struct Outside {
    pub(crate) state: PathBuf,
}

impl Outside {
    /// The calls to STS so far.
    pub fn calls(&self) -> Result<Vec<Value>> {
        let calls = self.ask("sts", "/calls")?;
        Ok(calls.as_array().cloned().unwrap_or_default())
    }

    /// The calls to STS so far for the role of this ARN.
    pub fn calls_for(&self, arn: &str) -> Result<Vec<Value>> {
        let mut calls = self.calls()?;
        calls.retain(|call| call["role"] == arn);
        Ok(calls)
    }

    fn ask(&self, standin: &str, path: &str) -> Result<Value> {
        let socket = self.state.join(format!("{standin}.sock"));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--unix-socket"]);
        let output = curl
            .arg(socket)
            .arg(format!("http://control{path}"))
            .output();
        let output = output.context("curl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{standin} {path}: {}", said.trim());
        serde_json::from_slice(&output.stdout).with_context(|| format!("{standin} {path}"))
    }
}
