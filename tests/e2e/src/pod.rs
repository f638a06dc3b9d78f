//! Pods with a client in them, and what that says.

use anyhow::{Context as _, Result};
use bpf2iam_support::process::Process;
use serde_json::{Value, json};

use crate::{Site, image, wait};

/// The annotation that names a pod's role.
pub const ROLE: &str = "iam.amazonaws.com/role";
/// What is put before the names of roles.
pub const BASE_ARN: &str = "arn:aws:iam::123456789012:role/";
/// Says who it is, by the AWS SDK for Go: its access key, and what STS calls its bearer.
pub const WHOAMI: &str = "/clients/whoami";
/// Where role names are found.
pub const LIST: &str = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
/// What a pod does while it is asked for nothing.
pub const IDLE: &str = "while :; do sleep 1; done";
/// What an SDK has to know here.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_REGION", "eu-west-1"),
    ("AWS_ENDPOINT_URL_STS", "http://10.77.0.1:9001"),
    // For pod-client, which is careful about where it is.
    ("BPF2IAM_POD_CLIENT_IN_CONTAINER", "yes"),
];

/// A container of clients that runs this shell script.
pub fn container(name: &str, script: &str) -> Value {
    let environment = ENVIRONMENT.map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "name": name,
        "image": image::CLIENTS,
        "imagePullPolicy": "Never",
        "command": ["/bin/sh", "-euc", script],
        "env": environment,
    })
}

/// What a client prints that has this role.
///
/// # Panics
///
/// If it is another one.
#[track_caller]
pub fn assert_role(said: &str, role: &str) {
    let expected = format!(":assumed-role/{role}/");
    assert!(said.contains(&expected), "not {role}: {said}");
}

impl Site {
    /// A pod of this test's that is to run a shell script once.
    pub fn pod(&self, name: &str, script: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "namespace": self.namespace, "name": name, "annotations": {} },
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "containers": [container("main", script)],
            },
        })
    }

    /// The same with a role of its own, which has its name.
    pub fn pod_with_role(&self, name: &str, script: &str) -> Value {
        let mut pod = self.pod(name, script);
        pod["metadata"]["annotations"][ROLE] = json!(name);
        pod
    }

    /// A Job of one such pod, of the same name.
    pub fn job(pod: &Value) -> Result<Value> {
        let (namespace, name) = names(pod)?;
        let template = json!({
            "metadata": { "annotations": pod["metadata"]["annotations"] },
            "spec": pod["spec"],
        });
        Ok(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "template": template, "backoffLimit": 0 },
        }))
    }

    /// What a Job of one pod has printed when it is complete.
    pub fn run_job(&self, job: &Value) -> Result<String> {
        self.cluster.apply(job)?;
        let (namespace, name) = names(job)?;
        let place = ["--namespace", namespace, &format!("job/{name}")];
        // Less than kubectl itself may take.
        let wait = ["wait", "--for=condition=complete", "--timeout=50s"];
        self.cluster.kubectl(&[&wait[..], &place].concat())?;
        self.cluster.kubectl(&[&["logs"][..], &place].concat())
    }

    /// Deletes a Job and its pod.
    pub fn delete_job(&self, job: &Value) -> Result<()> {
        let (namespace, name) = names(job)?;
        let delete = ["delete", "job", name, "--namespace", namespace];
        self.cluster.kubectl(&delete).map(drop)
    }

    /// What it has printed when it has come to its end.
    pub fn run(&self, pod: &Value) -> Result<String> {
        self.cluster.apply(pod)?;
        self.finish(pod)
    }

    /// Waits for its end, and gives what it has printed.
    pub fn finish(&self, pod: &Value) -> Result<String> {
        let (namespace, name) = names(pod)?;
        let phase = self.wait_for_phase(pod, &["Succeeded", "Failed"])?;
        let log = self.log(namespace, name, "main")?;
        anyhow::ensure!(phase == "Succeeded", "{namespace}/{name} has failed: {log}");
        Ok(log)
    }

    /// Makes a pod, and waits until it runs.
    pub fn start(&self, pod: &Value) -> Result<()> {
        self.cluster.apply(pod)?;
        self.wait_for_phase(pod, &["Running"]).map(drop)
    }

    /// Waits until it is in one of these phases.
    pub fn wait_for_phase(&self, pod: &Value, phases: &[&str]) -> Result<String> {
        let (namespace, name) = names(pod)?;
        wait::until(&format!("{namespace}/{name} to be {phases:?}"), || {
            let pod = self.cluster.get(&["pod", name, "--namespace", namespace])?;
            let phase = pod["status"]["phase"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            Ok(if phases.contains(&phase.as_str()) {
                Ok(phase)
            } else {
                Err(pod["status"].to_string())
            })
        })
    }

    /// What a container of a pod has printed.
    pub fn log(&self, namespace: &str, pod: &str, container: &str) -> Result<String> {
        self.cluster.kubectl(&[
            "logs",
            "--namespace",
            namespace,
            pod,
            "--container",
            container,
        ])
    }

    /// What a command prints in a container of a running pod.
    pub fn exec(&self, pod: &Value, container: &str, command: &[&str]) -> Result<String> {
        let (namespace, name) = names(pod)?;
        let exec = [
            "exec",
            "--namespace",
            namespace,
            name,
            "--container",
            container,
            "--",
        ];
        self.cluster.kubectl(&[&exec[..], command].concat())
    }

    /// Starts a command in a running pod. It has our input.
    pub fn exec_with_input(&self, pod: &Value, command: &[&str]) -> Result<Process> {
        let (namespace, name) = names(pod)?;
        let mut kubectl = self.cluster.kubectl_command()?;
        kubectl.args(["exec", "--stdin", "--namespace", namespace, name, "--"]);
        kubectl.args(command);
        Process::spawn(format!("{name}: {}", command.join(" ")), kubectl)
    }

    /// Deletes a pod, and waits until it is gone.
    pub fn delete(&self, pod: &Value) -> Result<()> {
        let (namespace, name) = names(pod)?;
        self.cluster
            .kubectl(&["delete", "pod", name, "--namespace", namespace])
            .map(drop)
    }
}

/// The namespace and the name of an object.
pub fn names(object: &Value) -> Result<(&str, &str)> {
    let field = |field: &str| {
        object["metadata"][field]
            .as_str()
            .with_context(|| format!("an object's {field}"))
    };
    Ok((field("namespace")?, field("name")?))
}
