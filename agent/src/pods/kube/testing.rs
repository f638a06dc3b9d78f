//! What the tests of this part have in common: objects, a stand-in to ask, and what was logged.

use bpf2iam_standins::apiserver::{ApiServer, Config};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::{
    id::PodUid,
    kubernetes::{self, Client, Server, Settings, Trust},
};

pub(super) use crate::telemetry::testing::Logged;

use super::metrics::Metrics;

/// The node whose agent we are.
pub(super) const NODE: &str = "node-1";

pub(super) fn server() -> ApiServer {
    ApiServer::start(Config::default()).unwrap()
}

pub(super) async fn client(server: &ApiServer) -> Client {
    let url = Server::parse(&server.url(), None, Trust::Authorities).unwrap();
    kubernetes::connect(&Settings::Server(url)).await.unwrap()
}

pub(super) fn uid(number: u8) -> PodUid {
    let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
    uid.parse().unwrap()
}

/// The pod `shop/NAME` of our node, of the ServiceAccount `till`, with this role.
pub(super) fn pod(name: &str, number: u8, role: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "shop", "name": name, "uid": uid(number).to_string(),
            "annotations": {"iam.amazonaws.com/role": role, "example.com/else": "x"},
        },
        "spec": {"nodeName": NODE, "serviceAccountName": "till", "containers": []},
        "status": {"phase": "Running"},
    })
}

pub(super) fn namespace(name: &str, role: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "annotations": {"bpf2iam.io/default-role": role}},
    })
}

pub(super) fn service_account(namespace: &str, name: &str, role: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {
            "namespace": namespace, "name": name,
            "annotations": {"eks.amazonaws.com/role-arn": role},
        },
    })
}

/// `object` with something else in one of its places.
pub(super) fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

/// Numbers, and the page where they stand.
pub(super) fn metrics() -> (Metrics, Registry) {
    let (metrics, mut registry) = (Metrics::new(), Registry::default());
    metrics.register(&mut registry);
    (metrics, registry)
}

/// The number on that page which is called `name`, labels included.
pub(super) fn number(registry: &Registry, name: &str) -> i64 {
    let mut page = String::new();
    prometheus_client::encoding::text::encode(&mut page, registry).unwrap();
    let prefix = format!("{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}"))
        .parse()
        .unwrap()
}
