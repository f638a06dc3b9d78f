//! Asks about this node's object, and changes it. Nothing is repeated here.

use std::time::Duration;

use hyper::{Request, header::CONTENT_TYPE};
use k8s_openapi::api::core::v1::Node;
use kube::{Client, Resource as _, core::Status};
use serde_json::Value;
use tokio::time;

use crate::{
    chain::chain,
    kubernetes::refusal::{self, Manifest},
};

/// What the agent has to be allowed.
const GET: &str = "get nodes";

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// RFC 6902.
const JSON_PATCH: &str = "application/json-patch+json";

/// Why nothing is known, or changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Absent(String),
    /// It is not as we thought any more.
    #[error("{0}")]
    Changed(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("nothing within {PATIENCE:?}")]
    TimedOut,
    #[error("the answer is no node")]
    Unreadable(#[source] serde_json::Error),
}

impl Failure {
    fn of(error: &kube::Error, node: &str, lack: fn(&str) -> String) -> Self {
        if let kube::Error::Api(status) = error {
            Self::of_status(status, node, lack)
        } else {
            Self::Unreachable(chain(error))
        }
    }

    fn of_status(status: &Status, node: &str, lack: fn(&str) -> String) -> Self {
        let said = refusal::words(status);
        match status.code {
            // Whatever its code, it says no again.
            _ if refusal::is_of_policy(status) => Self::Refused(said),
            403 => Self::Forbidden(lack(&said)),
            404 => Self::Absent(format!(
                "there is no node {node}; --node-name has to be its name in Kubernetes: {said}"
            )),
            // 409: a conflict. 422: what a JSON patch tests is not so.
            409 | 422 => Self::Changed(said),
            _ => Self::Refused(said),
        }
    }
}

/// The node of this name, as the API server shows it.
pub(super) async fn get(client: &Client, node: &str) -> Result<String, Failure> {
    let lack = |said: &str| refusal::lack_anywhere(GET, Manifest::Rbac, said);
    send(client, node, Request::get(path(node)), Vec::new(), lack).await
}

/// Changes it by a JSON patch. Where we may not, `lack` says so.
pub(super) async fn patch(
    client: &Client,
    node: &str,
    patch: &Value,
    lack: fn(&str) -> String,
) -> Result<(), Failure> {
    let request = Request::patch(path(node)).header(CONTENT_TYPE, JSON_PATCH);
    let changed = send(client, node, request, patch.to_string().into_bytes(), lack);
    changed.await.map(drop)
}

fn path(node: &str) -> String {
    format!("{}/{node}", Node::url_path(&(), None))
}

async fn send(
    client: &Client,
    node: &str,
    request: hyper::http::request::Builder,
    body: Vec<u8>,
    lack: fn(&str) -> String,
) -> Result<String, Failure> {
    let request = request.body(body);
    let request = request.map_err(|error| Failure::Refused(chain(&error)))?;
    let answer = time::timeout(PATIENCE, client.request_text(request)).await;
    let text = answer.map_err(|_late| Failure::TimedOut)?;
    text.map_err(|error| Failure::of(&error, node, lack))
}
