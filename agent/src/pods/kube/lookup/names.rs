//! What all pods of the node are called.

use futures_util::AsyncReadExt as _;
use k8s_openapi::api::core::v1 as api;
use kube::{
    Resource as _,
    api::{ListParams, ObjectList, Request},
};

use crate::{
    kubernetes::Client,
    pods::kube::{failure::Failure, slim::Metadata},
};

/// Their metadata may take so much: 500 pods with 16 KiB each. Whoever writes annotations could fill our memory.
const MOST: u64 = 8 << 20;

/// The metadata of the pods that `fields` select, as of now.
///
/// In one answer, not in pages: before Kubernetes 1.34 these are not from the server's own cache, which knows the pods of
/// a node, and it goes through all pods of the cluster for each (KEP 4988).
pub(super) async fn of_pods(
    client: &Client,
    fields: &str,
) -> Result<Vec<Metadata<api::Pod>>, Failure> {
    let request = Request::new(api::Pod::url_path(&(), None));
    let request = request.list_metadata(&ListParams::default().fields(fields));
    let request = request.map_err(kube::Error::BuildRequest)?;
    let mut answer = Vec::new();
    let stream = Box::pin(client.request_stream(request).await?);
    let read = stream.take(MOST + 1).read_to_end(&mut answer).await;
    if read.map_err(kube::Error::ReadEvents)? as u64 > MOST {
        return Err(Failure::TooLong);
    }
    let list = serde_json::from_slice::<ObjectList<_>>(&answer);
    Ok(list.map_err(kube::Error::SerdeError)?.items)
}
