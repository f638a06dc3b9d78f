//! One pod whose role comes, changes and goes, and when the API server said so.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bpf2iam_standins::apiserver::Kind;
use bpf2iam_support::moment::Moment;
use serde::Serialize;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    cluster::{Cluster, role},
    objects, order,
};

/// Between two steps: more than the agent may need. Not a multiple of anything that it does in a rhythm.
const PAUSE: Duration = Duration::from_millis(107);

/// What the API server said.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    at: Moment,
    what: What,
    /// What the pod should get from then on: a role, or a status.
    answer: String,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Bound,
    Changed,
    Deleted,
}

/// Lets the pod come, change and go. Times are from before the change to the store, so that no lag looks shorter than it
/// is.
pub(crate) async fn run(cluster: &Cluster, order: &order::Probe) -> Result<Vec<Step>> {
    let text = |name: &str| order.pod["metadata"][name].as_str();
    let name = text("name").context("the pod has no name")?;
    let namespace = text("namespace").context("the pod has no namespace")?;
    let with_role = |role: &str| {
        let mut pod = order.pod.clone();
        pod["metadata"]["annotations"] = json!({objects::ROLE: role});
        pod
    };
    let mut steps = Vec::new();
    for _ in 0..order.times {
        // Both are in use by others: their keys are there already.
        for (what, number) in [(What::Bound, 1), (What::Changed, 2)] {
            let role = role(number);
            let pod = with_role(&role);
            steps.push(Step::new(what, role));
            cluster.api().put(pod)?;
            sleep(PAUSE).await;
        }
        steps.push(Step::new(What::Deleted, "404".to_owned()));
        cluster.api().delete(Kind::Pod, namespace, name)?;
        sleep(PAUSE).await;
    }
    Ok(steps)
}

impl Step {
    fn new(what: What, answer: String) -> Self {
        Self {
            at: Moment::now(),
            what,
            answer,
        }
    }
}
