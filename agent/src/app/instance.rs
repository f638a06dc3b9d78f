//! The instance whose metadata pods see: by way of the real service, or made up from what is known of the machine.

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::{
    clock::Clock,
    config::Config,
    drain,
    imds::{Instance, Known, Made},
    kubernetes::{
        Client,
        node::{self, NodeFacts},
    },
    metadata::Place,
    upstream::{self, Upstream},
};

/// What learns about the instance.
pub(super) enum Learner {
    /// Asks the real service for what never changes, before anybody needs it.
    Upstream(Upstream),
    /// Asks the API server what it knows of the node.
    Node(Box<NodeLearner>),
    /// There is nobody to ask.
    Nobody,
}

/// Puts what Kubernetes knows of the node together with what the operator said.
pub(super) struct NodeLearner {
    learner: node::Learner,
    facts: watch::Receiver<Option<NodeFacts>>,
    said: Place,
    known: watch::Sender<Known>,
}

/// The instance that `config` means, and what learns about it as long as the agent runs.
pub(super) fn open(
    config: &Config,
    client: Option<&Client>,
    clock: Clock,
    registry: &mut Registry,
) -> (Instance, Learner) {
    if let Some(addr) = &config.metadata {
        let metrics = upstream::Metrics::new();
        metrics.register(registry);
        let upstream = Upstream::new(addr.clone(), clock, metrics);
        return (
            Instance::Real(upstream.clone()),
            Learner::Upstream(upstream),
        );
    }
    let said = config.place.clone();
    let (known, learner) = match client {
        Some(client) => learn(client, config.node_name.as_str(), said),
        None => (watch::channel(Known::All(said)).1, Learner::Nobody),
    };
    let since = clock.now();
    (Instance::Made(Made { known, since }), learner)
}

/// What `said` says, and from the API server what it does not say.
fn learn(client: &Client, node: &str, said: Place) -> (watch::Receiver<Known>, Learner) {
    let (learner, facts) = node::Learner::new(client.clone(), node);
    let (sender, known) = watch::channel(Known::Part(said.clone()));
    let learner = NodeLearner {
        learner,
        facts,
        said,
        known: sender,
    };
    (known, Learner::Node(Box::new(learner)))
}

impl Learner {
    /// Learns until the drain.
    pub(super) async fn run(self, mut drain: drain::Watch) {
        match self {
            Self::Upstream(upstream) => upstream.keep_warm(drain).await,
            Self::Node(node) => node.run(drain).await,
            Self::Nobody => drain.signaled().await,
        }
    }
}

impl NodeLearner {
    async fn run(self, drain: drain::Watch) {
        let Self {
            learner,
            mut facts,
            said,
            known,
        } = self;
        let publish = async {
            while facts.changed().await.is_ok() {
                if let Some(facts) = &*facts.borrow_and_update() {
                    known.send_replace(Known::All(both(&said, facts)));
                }
            }
        };
        // The facts end with the learner.
        tokio::join!(learner.run(drain), publish);
    }
}

/// What the operator says counts; Kubernetes says the rest.
fn both(said: &Place, facts: &NodeFacts) -> Place {
    let (said, facts) = (said.clone(), facts.clone());
    Place {
        region: said.region.or(facts.region),
        zone: said.zone.or(facts.zone),
        instance_id: said.instance_id.or(facts.instance_id),
        instance_type: said.instance_type.or(facts.instance_type),
        account: said.account,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_word_counts_before_that_of_kubernetes() {
        let text = |text: &str| Some(text.to_owned());
        let said = Place {
            region: text("eu-west-1"),
            account: text("123456789012"),
            ..Place::default()
        };
        let facts = NodeFacts {
            region: text("eu-central-1"),
            zone: text("eu-central-1a"),
            instance_id: text("i-1"),
            instance_type: text("m5.large"),
        };
        let both = both(&said, &facts);
        assert_eq!((both.region, both.zone), (text("eu-west-1"), facts.zone));
        assert_eq!(
            (both.instance_id, both.account),
            (facts.instance_id, said.account)
        );
    }
}
