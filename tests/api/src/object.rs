//! Objects that most tests begin with.

use std::{
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Result;
use bpf2iam_support::pod::Spec;
use serde_json::{Value, json};

use crate::Cluster;

/// What the kubelet sets on the pod that stands for a static one at the API server.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// A name for something that no other test has: they run side by side on one cluster.
pub fn unique(stem: &str) -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{}-{serial}", process::id())
}

/// A node. No kubelet will ever say anything about it.
pub fn node(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name } })
}

/// A ServiceAccount.
pub fn service_account(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": { "namespace": namespace, "name": name },
    })
}

/// A pod that is on `node` from its beginning, with one container and the default ServiceAccount.
pub fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "namespace": namespace, "name": name },
        "spec": { "nodeName": node, "containers": [{ "name": "main", "image": "none" }] },
    })
}

/// A pod on `node` that is to be what `spec` says.
pub fn pod_of(spec: &Spec, node: &str) -> Value {
    let containers = spec.containers.iter();
    let containers: Vec<_> = containers
        .map(|name| json!({ "name": name, "image": "none" }))
        .collect();
    let mut pod = pod(&spec.namespace, &spec.name, node);
    pod["metadata"]["annotations"] = json!(spec.annotations);
    pod["spec"]["containers"] = containers.into();
    pod["spec"]["hostNetwork"] = spec.host_network.into();
    // The API server takes no static pod that has one.
    if !spec.annotations.contains_key(MIRROR) {
        pod["spec"]["serviceAccountName"] = json!(spec.service_account);
    }
    pod
}

impl Cluster {
    /// Makes a namespace of a unique name, and waits until pods can be made in it.
    pub fn add_namespace(&self, stem: &str) -> Result<String> {
        let name = unique(stem);
        self.kubectl(&["create", "namespace", &name])?;
        // A pod is refused that has no ServiceAccount, and a controller makes the default one.
        let account = "serviceaccount/default";
        let limit = "--timeout=30s";
        self.kubectl(&["wait", "--for=create", "--namespace", &name, account, limit])?;
        Ok(name)
    }

    /// Makes a node of a unique name.
    pub fn add_node(&self, stem: &str) -> Result<String> {
        let name = unique(stem);
        self.apply(&node(&name))?;
        Ok(name)
    }
}
