//! kubectl as the cluster's administrator.

use std::{fs, io::Write as _, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::process::{Process, output};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::{Cluster, account::Account};

/// Longer than any single thing takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

impl Cluster {
    /// What `kubectl ARGS` prints; fails if it does, with what it said.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.kubectl_as(None, args)
    }

    /// The same, as `account`, if not as the administrator.
    pub fn kubectl_as(&self, account: Option<&Account>, args: &[&str]) -> Result<String> {
        let mut kubectl = self.kubectl_command()?;
        if let Some(account) = account {
            kubectl.env("KUBECONFIG", account.kubeconfig());
        }
        let output = output(kubectl.args(args), PATIENCE)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let what = args.join(" ");
        ensure!(output.status.success(), "kubectl {what}: {}", said.trim());
        String::from_utf8(output.stdout).with_context(|| format!("kubectl {what}"))
    }

    /// What `kubectl get ARGS` finds.
    pub fn get(&self, args: &[&str]) -> Result<Value> {
        let printed = self.kubectl(&[&["get", "--output=json"], args].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("kubectl get {}", args.join(" ")))
    }

    /// What the API server answers to `GET PATH`.
    pub fn get_raw(&self, path: &str) -> Result<String> {
        self.kubectl(&["get", "--raw", path])
    }

    /// What the API server answers to `POST PATH`.
    pub fn post(&self, account: Option<&Account>, path: &str, object: &Value) -> Result<Value> {
        let file = written(object)?;
        let file = file.path().to_str().context("a path that is text")?;
        let args = ["create", "--raw", path, "--filename", file];
        let printed = self.kubectl_as(account, &args)?;
        serde_json::from_str(&printed).with_context(|| format!("POST {path}"))
    }

    /// Applies a manifest, or all of a directory, as an operator would.
    pub fn apply_file(&self, path: &Path) -> Result<()> {
        let path = path.to_str().context("a path that is text")?;
        self.kubectl(&["apply", "--filename", path]).map(drop)
    }

    /// Applies one object.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.apply_file(written(object)?.path())
    }

    /// Sets annotations of an object such as `pod/web` (`KEY=VALUE`), or takes them away (`KEY-`).
    pub fn annotate(&self, namespace: &str, object: &str, annotations: &[&str]) -> Result<()> {
        let what = ["annotate", "--overwrite", "--namespace", namespace, object];
        self.kubectl(&[&what[..], annotations].concat()).map(drop)
    }

    /// Sets the status of an object such as `pod/web`, as a kubelet would. A namespace of `""` is for objects that
    /// are in none.
    pub fn set_status(&self, namespace: &str, object: &str, status: &Value) -> Result<()> {
        let patch = json!({ "status": status }).to_string();
        let place = ["--namespace", namespace];
        let how = ["--subresource=status", "--type=merge", "--patch", &patch];
        self.kubectl(&[&["patch", object], &place[..], &how[..]].concat())
            .map(drop)
    }

    /// Follows `GET PATH`, a watch. Each of its lines is an event.
    pub fn watch(&self, path: &str) -> Result<Process> {
        let mut kubectl = self.kubectl_command()?;
        kubectl.args(["get", "--raw", path]);
        Process::spawn("kubectl", kubectl)
    }

    /// kubectl itself, to be run elsewhere.
    pub fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// kubectl, which keeps what it learns about the API beside its kubeconfig.
    pub fn kubectl_command(&self) -> Result<Command> {
        let home = self.kubeconfig.with_file_name("home");
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        let mut kubectl = self.command(&self.kubectl)?;
        kubectl
            .env_clear()
            .env("HOME", home)
            .env("KUBECONFIG", &self.kubeconfig);
        Ok(kubectl)
    }
}

fn written(object: &Value) -> Result<NamedTempFile> {
    file_of(&object.to_string())
}

/// A file with this text, for `--filename`.
pub fn file_of(text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new().context("a scratch file")?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
