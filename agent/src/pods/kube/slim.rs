//! Objects of the API server as far as we read them.
//!
//! The API's own types would take every field of them, for each of ten thousands of objects and for each change of a
//! pod, only to drop it again. What is not named here is passed over where it stands, and no memory is taken for it.

use std::{borrow::Cow, collections::BTreeMap, marker::PhantomData};

use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::Deserialize;

/// A pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Object")]
pub(super) struct SlimPod(pub(super) api::Pod);

/// Any object's metadata, which is all that the server is asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Partial", bound = "")]
pub(super) struct Metadata<K> {
    /// The metadata.
    pub(super) metadata: ObjectMeta,
    kind: PhantomData<K>,
}

#[derive(Deserialize)]
struct Partial {
    #[serde(default)]
    metadata: Meta,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Meta,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    service_account_name: Option<String>,
    host_network: Option<bool>,
    containers: Option<Vec<Named>>,
    init_containers: Option<Vec<Named>>,
    ephemeral_containers: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<api::PodIP>>,
    container_statuses: Option<Vec<Started>>,
    init_container_statuses: Option<Vec<Started>>,
    ephemeral_container_statuses: Option<Vec<Started>>,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    name: String,
    #[serde(rename = "containerID")]
    id: Option<String>,
}

impl From<Meta> for ObjectMeta {
    fn from(meta: Meta) -> Self {
        Self {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
            annotations: meta.annotations,
            ..Self::default()
        }
    }
}

impl<K> From<Partial> for Metadata<K> {
    fn from(partial: Partial) -> Self {
        Self {
            metadata: partial.metadata.into(),
            kind: PhantomData,
        }
    }
}

impl From<Object> for SlimPod {
    fn from(pod: Object) -> Self {
        Self(api::Pod {
            metadata: pod.metadata.into(),
            spec: pod.spec.map(Into::into),
            status: pod.status.map(Into::into),
        })
    }
}

impl From<Spec> for api::PodSpec {
    fn from(spec: Spec) -> Self {
        Self {
            node_name: spec.node_name,
            service_account_name: spec.service_account_name,
            host_network: spec.host_network,
            containers: all(spec.containers).unwrap_or_default(),
            init_containers: all(spec.init_containers),
            ephemeral_containers: all(spec.ephemeral_containers),
            ..Self::default()
        }
    }
}

impl From<Status> for api::PodStatus {
    fn from(status: Status) -> Self {
        Self {
            phase: status.phase,
            pod_ip: status.pod_ip,
            pod_ips: status.pod_ips,
            container_statuses: all(status.container_statuses),
            init_container_statuses: all(status.init_container_statuses),
            ephemeral_container_statuses: all(status.ephemeral_container_statuses),
            ..Self::default()
        }
    }
}

impl From<Named> for api::Container {
    fn from(named: Named) -> Self {
        Self {
            name: named.name,
            ..Self::default()
        }
    }
}

impl From<Named> for api::EphemeralContainer {
    fn from(named: Named) -> Self {
        Self {
            name: named.name,
            ..Self::default()
        }
    }
}

impl From<Started> for api::ContainerStatus {
    fn from(started: Started) -> Self {
        Self {
            name: started.name,
            container_id: started.id,
            ..Self::default()
        }
    }
}

fn all<T, U: From<T>>(slim: Option<Vec<T>>) -> Option<Vec<U>> {
    Some(slim?.into_iter().map(Into::into).collect())
}

impl Resource for SlimPod {
    type DynamicType = ();
    type Scope = <api::Pod as Resource>::Scope;

    fn kind(dt: &()) -> Cow<'_, str> {
        api::Pod::kind(dt)
    }

    fn group(dt: &()) -> Cow<'_, str> {
        api::Pod::group(dt)
    }

    fn version(dt: &()) -> Cow<'_, str> {
        api::Pod::version(dt)
    }

    fn plural(dt: &()) -> Cow<'_, str> {
        api::Pod::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.0.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.0.metadata
    }
}

impl<K: Resource> Resource for Metadata<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn metadata_api() -> bool {
        true
    }

    fn kind(dt: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::pods::{annotation::Keys, convert};

    /// A pod as a server shows it, with much that nobody here reads.
    fn pod() -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "cart",
                "namespace": "shop",
                "uid": "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
                "resourceVersion": "7",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"app": "cart"},
                "annotations": {"iam.amazonaws.com/role": "a", "container.bpf2iam.io/log": "none"},
                "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {"f:phase": {}}}}],
            },
            "spec": {
                "nodeName": "node-1",
                "serviceAccountName": "till",
                "hostNetwork": true,
                "containers": [{"name": "main", "image": "x", "env": [{"name": "A", "value": "b"}]}],
                "initContainers": [{"name": "init", "image": "x"}],
                "ephemeralContainers": [{"name": "log", "image": "x"}],
                "tolerations": [{"operator": "Exists"}],
            },
            "status": {
                "phase": "Running",
                "podIP": "10.0.0.7",
                "podIPs": [{"ip": "10.0.0.7"}, {"ip": "fd00::7"}],
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{
                    "name": "main", "ready": true, "restartCount": 0, "image": "x", "imageID": "",
                    "containerID": format!("containerd://{}", "a".repeat(64)),
                    "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                }],
                "initContainerStatuses": [{
                    "name": "init", "ready": true, "restartCount": 0, "image": "x", "imageID": "",
                    "containerID": format!("containerd://{}", "b".repeat(64)),
                }],
                "ephemeralContainerStatuses": [{
                    "name": "log", "ready": true, "restartCount": 0, "image": "x", "imageID": "",
                    "containerID": format!("containerd://{}", "c".repeat(64)),
                }],
            },
        })
    }

    #[test]
    fn a_slim_pod_comes_to_the_same_as_a_whole_one() {
        let (whole, slim): (api::Pod, SlimPod) = (
            serde_json::from_value(pod()).unwrap(),
            serde_json::from_value(pod()).unwrap(),
        );
        assert_eq!(
            slim.0.metadata.resource_version,
            whole.metadata.resource_version
        );
        let keys = Keys::default();
        let (whole, slim) = (convert::pod(whole, &keys), convert::pod(slim.0, &keys));
        assert_eq!(slim.as_ref().unwrap(), whole.as_ref().unwrap());
        assert_eq!(slim.unwrap().containers.len(), 3);
    }

    #[test]
    fn of_metadata_what_we_read_is_the_same() {
        let whole: api::Pod = serde_json::from_value(pod()).unwrap();
        let slim: Metadata<api::Pod> = serde_json::from_value(pod()).unwrap();
        let read = |meta: ObjectMeta| {
            let version = meta.resource_version;
            (
                meta.name,
                meta.namespace,
                meta.uid,
                version,
                meta.annotations,
            )
        };
        assert_eq!(read(slim.metadata), read(whole.metadata));
    }

    #[test]
    fn what_the_server_leaves_out_is_not_there() {
        for bare in [json!({}), json!({"metadata": {}, "spec": {}, "status": {}})] {
            let slim: SlimPod = serde_json::from_value(bare).unwrap();
            assert_eq!(slim.0.metadata, ObjectMeta::default());
        }
        let nulls = json!({"metadata": {"annotations": null}, "spec": {"containers": null}});
        assert!(serde_json::from_value::<SlimPod>(nulls).is_ok());
    }
}
