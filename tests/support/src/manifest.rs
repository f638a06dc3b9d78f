//! Pods as manifests, for an agent that reads a directory (`--pods file:DIR`).

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    addresses::NODE_V4,
    pod::{Container, Pod},
};

/// A running pod, as the API server would show it.
pub fn of(pod: &Pod) -> Value {
    let spec = pod.spec();
    let ips: Vec<_> = pod.ips().iter().map(|ip| json!({"ip": ip})).collect();
    let containers = pod.containers();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": spec.name,
            "namespace": spec.namespace,
            "uid": pod.uid(),
            "annotations": spec.annotations,
        },
        "spec": {
            "nodeName": pod.node(),
            "hostNetwork": spec.host_network,
            "serviceAccountName": spec.service_account,
            "containers": containers.iter().map(container).collect::<Vec<_>>(),
        },
        "status": {
            "phase": "Running",
            "qosClass": spec.qos.name(),
            "hostIP": NODE_V4,
            "podIP": pod.ips().first(),
            "podIPs": ips,
            "containerStatuses": containers.iter().map(container_status).collect::<Vec<_>>(),
        },
    })
}

/// Writes `object` to `DIRECTORY/NAME.yaml`, all of it at once. What is JSON is YAML too.
pub fn write(directory: &Path, name: &str, object: &Value) -> Result<PathBuf> {
    let path = directory.join(format!("{name}.yaml"));
    let partial = directory.join(format!(".{name}.partial"));
    let write = || {
        fs::write(&partial, format!("{object:#}\n"))?;
        fs::rename(&partial, &path)
    };
    write().with_context(|| path.display().to_string())?;
    Ok(path)
}

/// Writes a pod to a file that is named after it.
pub fn write_pod(directory: &Path, pod: &Pod) -> Result<PathBuf> {
    let name = format!("{}-{}", pod.spec().namespace, pod.spec().name);
    write(directory, &name, &of(pod))
}

fn container(container: &Container) -> Value {
    json!({"name": container.name, "image": format!("registry.example/{}", container.name)})
}

fn container_status(container: &Container) -> Value {
    json!({
        "name": container.name,
        "containerID": format!("containerd://{}", container.id),
        "image": format!("registry.example/{}", container.name),
        "imageID": "",
        "ready": true,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    })
}
