//! The startup taint of this node (`--startup-taint`): taken away once the agent is ready.
//!
//! A node that registers with the taint gets no pods but those that tolerate it, the agent's own among them. So no pod of an
//! application starts before its connects are redirected. The agent never adds the taint, and touches no other.
//!
//! The taint is tested for at its place, with all that it says, and removed there, in one JSON patch: who changes the list
//! meanwhile loses nothing, and we read it anew. A kubelet taints a node only when it makes the node's object. Most often the agent's pod goes
//! with the old object, and the next agent takes the new taint away; but where somebody deletes a node and its kubelet registers again before
//! the pods are collected, the agent lives on. So the node is looked at again every five to ten minutes: 5,000 nodes make 11
//! requests a second of that, and 500 heartbeats.

use std::{fmt, time::Duration};

use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time;

use crate::{drain, kubernetes::node::ask, readiness::Readiness};

use super::{
    ask::Failure,
    trouble::{Trouble, about},
};

mod metrics;

pub use metrics::Metrics;

use metrics::Outcome;

/// The key of the taint. A contract with kubelets' `--register-with-taints`.
const KEY: &str = "bpf2iam.io/agent-not-ready";

/// How long until the next look, at most.
const LOOK: Duration = Duration::from_mins(10);
/// So often somebody else may be faster, one time after the other.
const ATTEMPTS: u32 = 5;

/// What does not work meanwhile.
const TAINTED: &str = "cannot take the startup taint from this node; no pod is scheduled to it that does not tolerate it";

/// Takes the taint away.
pub struct Remover {
    client: Client,
    node: String,
    metrics: Metrics,
}

impl Remover {
    /// That of the node of this name.
    pub fn new(client: Client, node: &str, metrics: Metrics) -> Self {
        Self {
            client,
            node: node.to_owned(),
            metrics,
        }
    }

    /// Does so whenever the agent is ready, until the drain.
    pub async fn run(self, readiness: Readiness, mut drain: drain::Watch) {
        tokio::select! {
            () = drain.signaled() => {}
            () = self.keep(&readiness) => {}
        }
    }

    async fn keep(&self, readiness: &Readiness) {
        let mut trouble = Trouble::new(TAINTED);
        loop {
            readiness.ready().await;
            let looked = self.look().await;
            self.metrics.looked(Outcome::of(&looked));
            let pause = match looked {
                Ok(Look::Clean) => LOOK,
                Ok(Look::Removed) => {
                    let (node, taint) = (&self.node, KEY);
                    tracing::info!(node, taint, "took the startup taint away");
                    LOOK
                }
                Err(failure) => trouble.goes_on(&failure),
            };
            if pause == LOOK {
                trouble.is_over();
            }
            time::sleep(about(pause)).await;
        }
    }

    /// Looks at the node, and removes the taint if it is there.
    async fn look(&self) -> Result<Look, Failure> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let text = ask::get(&self.client, &self.node).await?;
            let node: Node = serde_json::from_str(&text).map_err(Failure::Unreadable)?;
            let Some(patch) = patch(&node.spec.taints.unwrap_or_default()) else {
                return Ok(Look::Clean);
            };
            match ask::patch(&self.client, &self.node, &patch, lack).await {
                Ok(()) => return Ok(Look::Removed),
                Err(Failure::Changed(_)) if attempts.next().is_some() => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// The taint is not there.
    Clean,
    /// It was, and is no more.
    Removed,
}

/// A node, as far as we read it.
#[derive(Deserialize)]
struct Node {
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    taints: Option<Vec<Value>>,
}

/// What removes our taint from these, if it is there; one for each effect. From the end, so that places stay what they are.
fn patch(taints: &[Value]) -> Option<Value> {
    let ours = taints.iter().enumerate().rev();
    let ours = ours.filter(|(_, taint)| taint.get("key").is_some_and(|key| key == KEY));
    let steps: Vec<_> = ours
        .flat_map(|(at, taint)| {
            let path = format!("/spec/taints/{at}");
            [
                json!({"op": "test", "path": path, "value": taint}),
                json!({"op": "remove", "path": path}),
            ]
        })
        .collect();
    (!steps.is_empty()).then(|| steps.into())
}

/// That we may not.
fn lack(said: &str) -> String {
    format!(
        "the agent may not patch nodes, which --startup-taint needs; the ClusterRole bpf2iam has to allow it to get and patch them: {said}"
    )
}

impl fmt::Debug for Remover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remover")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
