//! The agent, installed as an operator does it: with Helm, from the chart as it is shipped.

use std::{env, ffi::OsStr, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_api::helm::CHART;
use serde_json::Value;

use crate::{Site, image, site::said, wait};

/// The administrator's.
const KUBECONFIG: &str = "BPF2IAM_CLUSTER_KUBECONFIG";
/// What this cluster needs of it.
pub const VALUES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/values.yaml");
/// The release, the DaemonSet, and the namespace of both.
pub const AGENT: &str = "bpf2iam";
/// What the agent's pods are found by.
const SELECTOR: &str = "app.kubernetes.io/name=bpf2iam";

impl Site {
    /// A program as an operator of the cluster runs it, with `helm` and `kubectl` at hand.
    pub fn operator(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        let home = self.state().join("helm");
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        let tools = [self.helm.as_path(), self.cluster.kubectl_program()];
        let tools = tools.into_iter().filter_map(Path::parent);
        let path = env::var_os("PATH").unwrap_or_default();
        let path: Vec<_> = tools
            .map(Path::to_owned)
            .chain(env::split_paths(&path))
            .collect();
        let mut command = self.cluster.command(program)?;
        command
            .env_clear()
            .env("HOME", home)
            .env("KUBECONFIG", env::var_os(KUBECONFIG).unwrap_or_default())
            .env("PATH", env::join_paths(path)?);
        Ok(command)
    }

    /// What `helm ARGS` prints.
    pub fn helm(&self, args: &[&str]) -> Result<String> {
        let mut helm = self.operator("helm")?;
        let what = format!("helm {}", args.join(" "));
        said(&what, helm.args(args), wait::PATIENCE)
    }

    /// Installs the agent with these values besides the cluster's own, or changes it to that, and waits until it is ready.
    pub fn install(&self, values: &[&str]) -> Result<()> {
        self.install_as(AGENT, values)?;
        self.wait_until_rolled_out(AGENT)
    }

    /// The same under another name, waiting for nothing.
    pub fn install_as(&self, release: &str, values: &[&str]) -> Result<()> {
        let mut args = vec!["upgrade", "--install", release, CHART];
        args.extend([
            "--namespace",
            release,
            "--create-namespace",
            "--values",
            VALUES,
        ]);
        args.extend(values.iter().flat_map(|value| ["--set", *value]));
        self.helm(&args).map(drop)
    }

    /// Removes it, and waits until its pod is gone.
    pub fn uninstall(&self) -> Result<()> {
        self.uninstall_as(AGENT)
    }

    /// The same under another name.
    pub fn uninstall_as(&self, release: &str) -> Result<()> {
        self.helm(&["uninstall", release, "--namespace", release])?;
        wait::until("the end of the agent's pods", || {
            let pods = self.pods_of(release)?;
            Ok(if pods.is_empty() {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            })
        })
    }

    /// The same, where it is installed.
    pub fn uninstall_if_installed(&self) -> Result<()> {
        let releases = self.helm(&["list", "--namespace", AGENT, "--short"])?;
        if releases.lines().any(|release| release == AGENT) {
            self.uninstall()?;
        }
        Ok(())
    }

    /// Removes what a failed test has installed besides, and an agent of which an installation was cut off half-way: Helm
    /// leaves both as they are.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        let releases = self.helm(&["list", "--all-namespaces", "--output=json"])?;
        let releases: Vec<Value> = serde_json::from_str(&releases)?;
        for release in releases {
            let [name, namespace, status] = ["name", "namespace", "status"]
                .map(|field| release[field].as_str().unwrap_or_default());
            if name != AGENT || status.starts_with("pending") {
                self.helm(&["uninstall", name, "--namespace", namespace, "--wait"])?;
            }
        }
        Ok(())
    }

    /// Waits until the DaemonSet of this release is as it should be, and no pod of an earlier version is left.
    pub fn wait_until_rolled_out(&self, release: &str) -> Result<()> {
        let rolled_out = wait::until(&format!("{release} to be rolled out"), || {
            let set = self
                .cluster
                .get(&["daemonset", release, "--namespace", release])?;
            let as_told = set["status"]["observedGeneration"] == set["metadata"]["generation"];
            let is_one = |field: &str| set["status"][field] == 1;
            let good = is_one("desiredNumberScheduled")
                && is_one("updatedNumberScheduled")
                && is_one("numberAvailable");
            if !(as_told && good) {
                return Ok(Err(set["status"].to_string()));
            }
            let pods = self.pods_of(release)?;
            Ok(if pods.len() == 1 {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            })
        });
        rolled_out.with_context(|| self.about(release))
    }

    /// Waits until the agent itself says that it is ready, and so serves.
    pub fn wait_until_ready(&self) -> Result<()> {
        wait::until("the agent to be ready", || {
            Ok(self
                .agent(&["ready"])
                .map(drop)
                .map_err(|error| error.to_string()))
        })
    }

    /// The version of the image that the agent runs from.
    pub fn version(&self) -> Result<String> {
        let daemon_set = self
            .cluster
            .get(&["daemonset", AGENT, "--namespace", AGENT])?;
        let image = &daemon_set["spec"]["template"]["spec"]["containers"][0]["image"];
        let image = image.as_str().unwrap_or_default();
        let version = image
            .strip_prefix(image::AGENT)
            .and_then(|tag| tag.strip_prefix(':'));
        Ok(version
            .with_context(|| format!("the image {image}"))?
            .to_owned())
    }

    /// The names of the agent's pods.
    pub fn agent_pods(&self) -> Result<Vec<String>> {
        self.pods_of(AGENT)
    }

    fn pods_of(&self, namespace: &str) -> Result<Vec<String>> {
        let args = ["pods", "--namespace", namespace, "--selector", SELECTOR];
        let pods = self.cluster.get(&args)?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let name = |pod: &Value| pod["metadata"]["name"].as_str().map(str::to_owned);
        Ok(pods.iter().filter_map(name).collect())
    }

    /// The name of its only pod.
    pub fn agent_pod(&self) -> Result<String> {
        let pods = self.agent_pods()?;
        ensure!(pods.len() == 1, "one pod of the agent, not {pods:?}");
        Ok(pods[0].clone())
    }

    /// What `bpf2iam ARGS` prints in the agent's pod.
    pub fn agent(&self, args: &[&str]) -> Result<String> {
        let pod = self.agent_pod()?;
        let exec = ["exec", "--namespace", AGENT, &pod, "--", "bpf2iam"];
        self.cluster.kubectl(&[&exec[..], args].concat())
    }

    /// What it has logged.
    pub fn agent_log(&self) -> Result<String> {
        self.log_of(AGENT)
    }

    /// What the one of this release has logged.
    pub fn log_of(&self, release: &str) -> Result<String> {
        let args = [
            "logs",
            "--namespace",
            release,
            "--selector",
            SELECTOR,
            "--tail=-1",
        ];
        self.cluster.kubectl(&args)
    }

    /// For whoever has to find out why it is not ready.
    fn about(&self, release: &str) -> String {
        let pods = ["describe", "pods", "--namespace", release];
        let [pods, log] = [self.cluster.kubectl(&pods), self.log_of(release)]
            .map(|text| text.unwrap_or_else(|error| format!("{error:#}")));
        format!("the agent is not ready\n{pods}\n{log}")
    }
}
