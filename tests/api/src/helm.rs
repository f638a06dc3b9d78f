//! Helm, and the chart as it renders it.

use std::{env, ffi::OsStr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::process::output;
use tempfile::TempDir;

/// `helm` of the version that renders the manifests.
const HELM: &str = "BPF2IAM_HELM";
/// The chart.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/chart");
/// It asks nobody.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program.
pub fn program() -> Result<PathBuf> {
    Ok(env::var_os(HELM).context(HELM)?.into())
}

/// What the chart gives as a release of this name in the namespace of this name.
pub fn template<S: AsRef<OsStr>>(release: &str, args: &[S]) -> Result<String> {
    let home = TempDir::new().context("a scratch directory")?;
    let mut helm = Command::new(program()?);
    helm.env_clear().env("HOME", home.path());
    helm.args(["template", release, CHART, "--namespace", release]);
    let output = output(helm.args(args), PATIENCE)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "helm template: {}", said.trim());
    String::from_utf8(output.stdout).context("what Helm prints is text")
}
