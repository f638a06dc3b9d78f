//! What Kubernetes knows of this node: where it is, and which instance. For machines whose metadata service we have none of.
//!
//! Only this node's object is asked for, by its name; nothing is watched. What the cloud provider says of a node may
//! come later than we do, so it is asked again until region and zone are known.

mod facts;

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{
    Client, Resource as _,
    api::GetParams,
    core::{Request, Status},
};
use tokio::{sync::watch, time};

use crate::{chain::chain, drain};

use super::refusal::{self, Manifest};

pub use facts::NodeFacts;

/// What the agent has to be allowed.
const NODES: &str = "get nodes";

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the first failure is at most this, after each further one twice as much, ...
const SOON: Duration = Duration::from_secs(1);
/// ... up to this.
const LATE: Duration = Duration::from_mins(1);
/// No pause is shorter than this part of what it may be.
const LEAST: f64 = 0.5;
/// How long until the next look, when the node's region or zone is not known yet: a cloud provider writes it in the
/// node's first minutes. After each look twice as long, ...
const LOOK: Duration = Duration::from_mins(3);
/// ... up to this: on bare metal nobody ever writes it.
const LAST_LOOK: Duration = Duration::from_hours(1);

/// Asks about a node.
pub struct Learner {
    client: Client,
    node: String,
    facts: watch::Sender<Option<NodeFacts>>,
}

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    Absent(String),
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
    fn of(error: &kube::Error, node: &str) -> Self {
        if let kube::Error::Api(status) = error {
            Self::of_status(status, node)
        } else {
            Self::Unreachable(chain(error))
        }
    }

    fn of_status(status: &Status, node: &str) -> Self {
        let said = refusal::words(status);
        match status.code {
            403 => Self::Forbidden(refusal::lack_anywhere(NODES, Manifest::Rbac, &said)),
            404 => Self::Absent(format!(
                "there is no node {node}; --node-name has to be its name in Kubernetes: {said}"
            )),
            _ => Self::Refused(said),
        }
    }
}

impl Learner {
    /// One for the node of this name, and where it puts what it learns.
    pub fn new(client: Client, node: &str) -> (Self, watch::Receiver<Option<NodeFacts>>) {
        let (facts, learned) = watch::channel(None);
        let learner = Self {
            client,
            node: node.to_owned(),
            facts,
        };
        (learner, learned)
    }

    /// Asks until region and zone are known, and then waits for the drain.
    pub async fn run(self, mut drain: drain::Watch) {
        tokio::select! {
            () = drain.signaled() => return,
            () = self.learn() => {}
        }
        drain.signaled().await;
    }

    async fn learn(&self) {
        let (mut trouble, mut look) = (Trouble::default(), LOOK);
        loop {
            let pause = match self.ask().await {
                Ok(facts) => {
                    trouble.is_over();
                    if self.tell(facts) {
                        return;
                    }
                    let pause = look;
                    look = LAST_LOOK.min(look * 2);
                    pause
                }
                Err(failure) => {
                    self.give_up_waiting(&failure);
                    trouble.goes_on(&failure)
                }
            };
            time::sleep(pause.mul_f64(LEAST + (1.0 - LEAST) * rand::random::<f64>())).await;
        }
    }

    /// Without the right to ask, nothing is known, and nothing will be soon: nobody should wait for it.
    fn give_up_waiting(&self, failure: &Failure) {
        if matches!(failure, Failure::Forbidden(_)) {
            self.facts.send_if_modified(|facts| {
                let waits = facts.is_none();
                facts.get_or_insert_default();
                waits
            });
        }
    }

    async fn ask(&self) -> Result<NodeFacts, Failure> {
        let nodes = Request::new(Node::url_path(&(), None));
        let request = nodes.get(&self.node, &GetParams::default());
        let request = request.map_err(|error| Failure::Refused(chain(&error)))?;
        let answer = time::timeout(PATIENCE, self.client.request_text(request)).await;
        let text = answer.map_err(|_late| Failure::TimedOut)?;
        let text = text.map_err(|error| Failure::of(&error, &self.node))?;
        NodeFacts::read(&text).map_err(Failure::Unreadable)
    }

    /// Says what is known by now, and whether that is all that matters.
    fn tell(&self, facts: NodeFacts) -> bool {
        let (enough, node) = (facts.are_enough(), &self.node);
        let known = self.facts.borrow().as_ref() == Some(&facts);
        if !known {
            let (region, zone) = (facts.region.as_deref(), facts.zone.as_deref());
            let instance = facts.instance_id.as_deref();
            tracing::info!(node, region, zone, instance, "Kubernetes knows this node");
            self.facts.send_replace(Some(facts));
        }
        enough
    }
}

/// A time in which nothing can be learned. Each reason is said once, and when it is over that is said too.
#[derive(Default)]
struct Trouble {
    failures: u32,
    said: Vec<std::mem::Discriminant<Failure>>,
}

impl Trouble {
    /// Takes note of a failure; says how long to wait at most.
    fn goes_on(&mut self, failure: &Failure) -> Duration {
        let reason = std::mem::discriminant(failure);
        let error = chain(failure);
        if self.said.contains(&reason) {
            tracing::debug!(error, "again");
        } else {
            self.said.push(reason);
            tracing::warn!(
                error,
                "cannot learn from Kubernetes where this node is; pods see no region and zone but those that flags give"
            );
        }
        let doubled = SOON.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        doubled.min(LATE)
    }

    fn is_over(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                failures = self.failures,
                "Kubernetes tells of this node again"
            );
        }
        *self = Self::default();
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
