//! Pods that are bound to the node all at once, before they have containers.

use anyhow::Result;
use bpf2iam_support::moment::Moment;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::sleep;

use crate::{cluster::Cluster, objects, order};

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Bound {
    /// When the first was bound, ...
    at: Moment,
    /// ... by the clock that the agent's log goes by.
    time: Timestamp,
    /// When all were.
    until: Moment,
}

/// Binds them at the moment that was ordered.
pub(crate) async fn run(cluster: &Cluster, order: &order::Bind) -> Result<Bound> {
    let pods = order.pods.iter().enumerate();
    let pods: Vec<_> = pods
        .map(|(number, pod)| objects::pod(&cluster.bound(number, pod)))
        .collect();
    sleep(order.at.since(Moment::now())).await;
    let (at, time) = (Moment::now(), Timestamp::now());
    for pod in pods {
        cluster.api().put(pod)?;
    }
    Ok(Bound {
        at,
        time,
        until: Moment::now(),
    })
}
