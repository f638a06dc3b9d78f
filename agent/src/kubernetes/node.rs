//! What Kubernetes knows of this node: where it is, and which instance. For machines whose metadata service we have none of.
//!
//! Only this node's object is asked for, by its name; nothing is watched. What the cloud provider says of a node may
//! come later than we do, so it is asked again until region and zone are known.

mod ask;
mod facts;
mod known;
mod taint;
mod trouble;

use std::time::Duration;

use kube::Client;
use tokio::{sync::watch, time};

use crate::drain;

use ask::Failure;
use trouble::{Trouble, about};

pub use facts::NodeFacts;
pub use known::{KNOWN, Known};
pub use taint::{Metrics as TaintMetrics, Remover};

/// What does not work while nothing can be learned.
const BLIND: &str = "cannot learn from Kubernetes where this node is; pods see no region and zone but those that flags give";

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
        let (mut trouble, mut look) = (Trouble::new(BLIND), LOOK);
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
            time::sleep(about(pause)).await;
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
        let text = ask::get(&self.client, &self.node).await?;
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

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learner")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests;
