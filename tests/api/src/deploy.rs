//! What an operator applies: `deploy/manifests`, as they are shipped, but for the DaemonSet. There is no kubelet for its pods, and
//! tests have `DaemonSet`s of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};

use crate::{Cluster, account::Account, object, token::Request};

/// The agent's ServiceAccount, and its namespace.
pub const AGENT: &str = "bpf2iam";

/// The shipped manifests.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/manifests");
/// What is left out.
const DAEMON_SET: &str = "daemonset.yaml";
/// An admission policy does not hold from the moment it is made, but soon.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long between two looks.
const PAUSE: Duration = Duration::from_millis(100);

impl Cluster {
    /// Applies them, once, and waits until their policy holds.
    pub fn deploy(&self) -> Result<()> {
        static DONE: OnceLock<Result<(), String>> = OnceLock::new();
        let apply = || {
            manifests()?
                .iter()
                .try_for_each(|path| self.apply_file(path))?;
            self.wait_for_policy()
        };
        let done = DONE.get_or_init(|| apply().map_err(|error| format!("{error:#}")));
        done.clone().map_err(anyhow::Error::msg)
    }

    /// The agent's own account on `node`, as its pod there has it. Gives the name of that pod, whose end ends it.
    pub fn agent_account(
        &self,
        node: &str,
        directory: &Path,
        server: &str,
    ) -> Result<(Account, String)> {
        let (name, token) = self.agent_token(node)?;
        let account = Account::write(self, directory, AGENT, &token, server)?;
        Ok((account, name))
    }

    /// A token of the agent's ServiceAccount, for another pod of the agent's on `node`, and the name of that pod.
    pub fn agent_token(&self, node: &str) -> Result<(String, String)> {
        let name = object::unique("agent");
        let mut pod = object::pod(AGENT, &name, node);
        pod["spec"]["serviceAccountName"] = json!(AGENT);
        let uid = self.create(&pod)?;
        let request = Request::default().bound_to_pod(&name, &uid);
        Ok((name, self.create_token(AGENT, AGENT, &request)?))
    }

    /// Asks for what the policy refuses until it does.
    fn wait_for_policy(&self) -> Result<()> {
        let account = format!("system:serviceaccount:{AGENT}:{AGENT}");
        let ask = ["create", "token", AGENT, "--namespace", AGENT, "--as"];
        let deadline = Instant::now() + PATIENCE;
        loop {
            let refused = self.kubectl(&[&ask[..], &[&account]].concat()).err();
            if refused.is_some_and(|error| error.to_string().contains("bpf2iam may ask")) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the policy does not hold");
            thread::sleep(PAUSE);
        }
    }

    /// Makes one object that is not there yet, and gives its UID.
    pub fn create(&self, object: &Value) -> Result<String> {
        let path = path_of(object)?;
        let made = self.post(None, &path, object)?;
        let uid = made["metadata"]["uid"].as_str();
        uid.map_or_else(
            || bail!("{path}: no uid in {made}"),
            |uid| Ok(uid.to_owned()),
        )
    }
}

/// What is applied, in order.
fn manifests() -> Result<Vec<PathBuf>> {
    let paths = fs::read_dir(MANIFESTS)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_>>()?;
    let all = paths.len();
    paths.retain(|path| !path.to_string_lossy().ends_with(DAEMON_SET));
    ensure!(
        paths.len() + 1 == all,
        "{MANIFESTS} has no {DAEMON_SET}, or several"
    );
    paths.sort();
    Ok(paths)
}

/// Where an object of a core kind is made.
fn path_of(object: &Value) -> Result<String> {
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    Ok(match object["kind"].as_str() {
        Some("Pod") => format!("/api/v1/namespaces/{namespace}/pods"),
        Some("ServiceAccount") => format!("/api/v1/namespaces/{namespace}/serviceaccounts"),
        other => bail!("nobody here knows where {other:?} is made"),
    })
}
