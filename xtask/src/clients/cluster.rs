//! A cluster: the stand-in for the API server, with pods, and with ServiceAccounts that have roles.

use std::{path::Path, time::Duration};

use anyhow::Result;
use bpf2iam_support::{
    Pod, manifest,
    process::Process,
    stage::{BASE_ARN, Control, Stage},
};
use serde_json::{Value, json};

/// Where the API server is, in the node.
const LISTEN: &str = "127.0.0.1:6443";
/// As the agent is told.
const URL: &str = "http://127.0.0.1:6443";
/// How the agent finds its pods there.
pub(super) const FLAGS: [&str; 4] = ["--pods", "kube", "--api-server", URL];

/// How long it may take to start.
const START: Duration = Duration::from_secs(20);

/// The cluster, as long as this lives.
pub(super) struct Cluster {
    control: Control,
    _process: Process,
}

impl Cluster {
    /// Starts it on the node of `stage`, without any object but that.
    pub(super) fn start(stage: &Stage, program: &Path) -> Result<Self> {
        let control = Control::prepare("apiserver-standin", stage.scratch())?;
        let mut command = stage.node().host().command(program)?;
        command.args(["--listen", LISTEN, "--control", &control.address()]);
        let process = Process::spawn("apiserver-standin", command)?;
        process.wait_for_line(|line| line.contains("ready"), START)?;
        let node =
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": stage.node().name()}});
        control.tell("/objects", &node)?;
        Ok(Self {
            control,
            _process: process,
        })
    }

    /// Puts `pod` there, with its namespace and its ServiceAccount, which has `role`.
    pub(super) fn add(&self, pod: &Pod, role: Option<&str>) -> Result<()> {
        let spec = pod.spec();
        for object in [
            namespace(&spec.namespace),
            account(&spec.namespace, &spec.service_account, role),
            manifest::of(pod),
        ] {
            self.control.tell("/objects", &object)?;
        }
        Ok(())
    }
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn account(namespace: &str, name: &str, role: Option<&str>) -> Value {
    let annotations =
        role.map(|role| json!({"eks.amazonaws.com/role-arn": format!("{BASE_ARN}{role}")}));
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": namespace, "name": name, "annotations": annotations},
    })
}
