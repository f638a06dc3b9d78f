//! Where pods come from, whichever it is.

use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::{
    clock::Clock,
    config::{self, Config},
    kubernetes::{self, Client},
    pods::{
        self, Source,
        file::FileSource,
        index,
        kube::{self, KubeLookup, KubeSource},
        resolve::Lookup,
    },
    readiness::Readiness,
};

/// One of the sources of pods.
#[derive(Debug)]
pub(super) enum Pods {
    /// A directory of manifests.
    Files(FileSource),
    /// The Kubernetes API.
    Kube(KubeSource),
}

impl Source for Pods {
    async fn run(self, index: index::Writer) -> anyhow::Error {
        match self {
            Self::Files(files) => files.run(index).await,
            Self::Kube(kube) => kube.run(index).await,
        }
    }
}

/// A source, what can be asked directly besides, and the API server where they are of one.
type Opened = (Pods, Option<Arc<dyn Lookup>>, Option<Client>);

/// Opens the source that `config` names, and what comes with it.
pub(super) async fn open(
    config: &Config,
    clock: Clock,
    readiness: &Readiness,
    registry: &mut Registry,
) -> anyhow::Result<Opened> {
    match &config.pods {
        config::Pods::Files(directory) => {
            let metrics = pods::metrics::Metrics::new();
            metrics.register(registry);
            let (directory, keys) = (directory.clone(), config.keys.clone());
            let node = config.node_name.as_str();
            let files = FileSource::open(directory, node, keys, metrics, clock)?;
            Ok((Pods::Files(files), None, None))
        }
        config::Pods::Kube(settings) => {
            let client = kubernetes::connect(settings).await?;
            let metrics = kube::metrics::Metrics::new();
            metrics.register(registry);
            let lookup = KubeLookup::new(
                client.clone(),
                config.node_name.as_str(),
                config.keys.clone(),
                metrics.clone(),
            );
            let source = watch(client.clone(), config, metrics, clock, readiness);
            Ok((Pods::Kube(source), Some(Arc::new(lookup)), Some(client)))
        }
    }
}

fn watch(
    client: Client,
    config: &Config,
    metrics: kube::metrics::Metrics,
    clock: Clock,
    readiness: &Readiness,
) -> KubeSource {
    let (node, keys) = (config.node_name.as_str(), config.keys.clone());
    let pending = readiness.guard("the pods to be listed");
    KubeSource::new(client, node, keys, metrics, clock, pending)
}
