//! Objects with all that real ones carry: most of it is nothing to the agent.

use serde_json::{Value, json};

/// The annotation of a pod that names its role.
pub(crate) const ROLE: &str = "iam.amazonaws.com/role";
/// The annotation of a ServiceAccount that names the role of its pods.
pub(crate) const ROLE_ARN: &str = "eks.amazonaws.com/role-arn";

/// A pod, as far as it differs from others.
#[derive(Clone, Debug)]
pub(crate) struct Pod(Value);

impl Pod {
    /// A pod that is bound, and does not run yet.
    pub(crate) fn new(number: usize, node: &str, namespace: &str) -> Self {
        let name = format!("app-{number}-6d5f7c9b8d-x{:04}", number % 10_000);
        let mut pod = bulk(number);
        let metadata = &mut pod["metadata"];
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(namespace);
        metadata["uid"] = json!(format!("00000000-0000-4000-9000-{number:012x}"));
        pod["spec"]["nodeName"] = json!(node);
        Self(pod)
    }

    /// The same with another name, and the UID that its cgroup says.
    pub(crate) fn called(mut self, name: &str, uid: &str) -> Self {
        self.0["metadata"]["name"] = json!(name);
        self.0["metadata"]["uid"] = json!(uid);
        self
    }

    pub(crate) fn runs_as(mut self, account: &str) -> Self {
        self.0["spec"]["serviceAccountName"] = json!(account);
        self
    }

    pub(crate) fn role(mut self, role: &str) -> Self {
        self.0["metadata"]["annotations"][ROLE] = json!(role);
        self
    }

    /// The same when it runs.
    pub(crate) fn running(mut self, number: usize) -> Self {
        self.0["status"] = status(number);
        self
    }

    /// The same when somebody has deleted it, and it still runs.
    pub(crate) fn terminating(mut self) -> Self {
        self.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:30Z");
        self.0["metadata"]["deletionGracePeriodSeconds"] = json!(30);
        self
    }

    pub(crate) fn name(&self) -> &str {
        self.0["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn namespace(&self) -> &str {
        self.0["metadata"]["namespace"].as_str().unwrap_or_default()
    }
}

/// A pod as it is put.
pub(crate) fn pod(pod: &Pod) -> Value {
    pod.0.clone()
}

/// The node, without what its kubelet says of it.
pub(crate) fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
}

/// A namespace that lets its pods have the roles of all teams.
pub(crate) fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": labels(name),
            "annotations": {
                "iam.amazonaws.com/allowed-roles": "[\"shared/*\",\"bound-*\",\"team-*\"]",
                "scheduler.alpha.kubernetes.io/node-selector": "tier=workers",
            },
            "managedFields": [managed("kubectl-create", &["labels", "annotations"])],
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    })
}

/// A ServiceAccount, with the ARN of a role if it has one.
pub(crate) fn service_account(namespace: &str, name: &str, role: Option<&str>) -> Value {
    let mut annotations =
        json!({"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace});
    if let Some(role) = role {
        annotations[ROLE_ARN] = json!(role);
    }
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels(name),
            "annotations": annotations,
            "managedFields": [managed("helm", &["labels", "annotations"])],
        },
        "automountServiceAccountToken": true,
    })
}

fn bulk(number: usize) -> Value {
    let app = format!("app-{number}");
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("{app}-6d5f7c9b8d-"),
            "labels": labels(&app),
            "annotations": {
                "checksum/config": "8f4e33f3dc3e414ff94e5fb6905cba8c0b54d31d4f3f4e0a3b5c6d7e8f901234",
                "prometheus.io/scrape": "true",
                "prometheus.io/port": "9090",
                "kubectl.kubernetes.io/last-applied-configuration": "x".repeat(1200),
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{app}-6d5f7c9b8d"),
                "uid": "3c9f6b0e-8d2a-4f11-9a52-0c1d2e3f4a5b", "controller": true, "blockOwnerDeletion": true,
            }],
            "managedFields": [
                managed("kube-controller-manager", &["generateName", "labels", "annotations", "ownerReferences"]),
                managed("kubelet", &["conditions", "containerStatuses", "hostIP", "phase", "podIP", "podIPs"]),
            ],
        },
        "spec": {
            "serviceAccountName": "default",
            "containers": [container("app"), container("proxy")],
            "restartPolicy": "Always",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}],
        },
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    })
}

fn container(name: &str) -> Value {
    let environment = (0..12).map(|number| json!({"name": format!("SETTING_{number}"), "value": "some value of a usual length"}));
    json!({
        "name": name,
        "image": format!("registry.example/{name}:1.2.3"),
        "env": environment.collect::<Vec<_>>(),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "kube-api-access", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
    })
}

fn status(number: usize) -> Value {
    let ip = format!("10.244.{}.{}", number / 250 % 250, number % 250 + 1);
    let container = |name: &str, kind: usize| {
        json!({
            "name": name, "ready": true, "restartCount": 0, "image": format!("registry.example/{name}:1.2.3"), "imageID": "",
            "containerID": format!("containerd://{number:060x}{kind:04x}"),
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        })
    };
    let conditions = ["Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let conditions = conditions.map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}));
    json!({
        "phase": "Running", "qosClass": "Burstable", "hostIP": "10.0.0.1", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": conditions, "containerStatuses": [container("app", 1), container("proxy", 2)],
    })
}

fn labels(app: &str) -> Value {
    json!({
        "app.kubernetes.io/name": app, "app.kubernetes.io/instance": app, "app.kubernetes.io/version": "1.2.3",
        "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "app-1.2.3", "team": "a-team",
    })
}

/// Who set which fields: often half of an object.
fn managed(manager: &str, fields: &[&str]) -> Value {
    let mut owned = json!({});
    for field in fields {
        owned[format!("f:{field}")] = json!({
            ".": {}, "f:app.kubernetes.io/name": {}, "f:app.kubernetes.io/instance": {}, "f:app.kubernetes.io/version": {},
            "f:app.kubernetes.io/managed-by": {}, "f:helm.sh/chart": {}, "f:team": {},
        });
    }
    json!({
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": owned},
    })
}
