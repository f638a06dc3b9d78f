//! The API server over real sockets.

mod client;
mod events;
mod faults;
mod kube;
mod objects;
mod program;
mod tokens;
mod watches;

use bpf2iam_standins::apiserver::{ApiServer, Config};
use serde_json::{Value, json};

use self::client::Client;

pub(crate) const PODS: &str = "/api/v1/pods";

/// A server and a client of it.
pub(crate) fn start() -> (ApiServer, Client) {
    start_with(Config::default())
}

pub(crate) fn start_with(config: Config) -> (ApiServer, Client) {
    let server = ApiServer::start(config).unwrap();
    let client = Client::new(server.addr());
    (server, client)
}

/// A pod of the `ServiceAccount` `web`.
pub(crate) fn pod(namespace: &str, name: &str, node: &str) -> Value {
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"nodeName": node, "serviceAccountName": "web"},
    })
}

pub(crate) fn account(namespace: &str, name: &str) -> Value {
    json!({"kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": name}})
}

pub(crate) fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "metadata": {"name": name}})
}
