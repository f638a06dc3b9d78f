//! The instance whose metadata pods see: by way of the real service, or made up from what is known of the machine.

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::{
    clock::Clock,
    config::Config,
    drain,
    imds::{Instance, Made},
    kubernetes::Client,
    metadata::Place,
    upstream::{self, Upstream},
};

/// The instance, and what learns about it as long as the agent runs.
pub(super) struct Opened {
    pub(super) instance: Instance,
    pub(super) learner: Learner,
}

/// What learns about the instance.
pub(super) enum Learner {
    /// Asks the real service for what never changes, before anybody needs it.
    Upstream(Upstream),
    /// Asks the API server what it knows of the node.
    Node(NodeLearner),
    /// There is nobody to ask.
    Nobody,
}

/// Puts what Kubernetes knows of the node together with what the operator said.
pub(super) struct NodeLearner {
    client: Client,
    node: String,
    said: Place,
    place: watch::Sender<Option<Place>>,
}

/// The instance that `config` means.
pub(super) fn open(
    config: &Config,
    client: Option<&Client>,
    clock: Clock,
    registry: &mut Registry,
) -> Opened {
    if let Some(addr) = &config.metadata {
        let metrics = upstream::Metrics::new();
        metrics.register(registry);
        let upstream = Upstream::new(addr.clone(), clock, metrics);
        return Opened {
            instance: Instance::Real(upstream.clone()),
            learner: Learner::Upstream(upstream),
        };
    }
    let said = config.place.clone();
    let known = client.is_none().then(|| said.clone());
    let (sender, place) = watch::channel(known);
    Opened {
        instance: Instance::Made(Made {
            place,
            since: clock.now(),
        }),
        learner: match client {
            Some(client) => Learner::Node(NodeLearner {
                client: client.clone(),
                node: config.node_name.to_string(),
                said,
                place: sender,
            }),
            None => Learner::Nobody,
        },
    }
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
    async fn run(self, mut drain: drain::Watch) {
        let _ = (&self.client, &self.node);
        self.place.send_replace(Some(self.said));
        drain.signaled().await;
    }
}
