//! Where pods come from, whichever it is.

use std::sync::Arc;

use anyhow::Context as _;
use prometheus_client::registry::Registry;

use crate::{
    clock::Clock,
    config::{self, Config},
    kubernetes::Client,
    pods::{
        self, Source,
        file::FileSource,
        index,
        kube::{self, KubeLookup, KubeSource},
        resolve::Lookup,
    },
    readiness::Readiness,
};

/// What the agent waits for until the API server has listed the pods, and all that decides about them.
pub(super) const LISTED: &str = "the pods to be listed";

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

/// A source, and what can be asked directly besides.
type Opened = (Pods, Option<Arc<dyn Lookup>>);

/// Opens the source that `config` names: the API server of `client`, or a directory.
pub(super) fn open(
    config: &Config,
    client: Option<&Client>,
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
            Ok((Pods::Files(files), None))
        }
        config::Pods::Kube(_) => {
            let client = client.context("the API server is not known")?;
            let metrics = kube::metrics::Metrics::new();
            metrics.register(registry);
            let lookup = KubeLookup::new(
                client.clone(),
                config.node_name.as_str(),
                config.keys.clone(),
                metrics.clone(),
            );
            let source = watch(client.clone(), config, metrics, clock, readiness);
            Ok((Pods::Kube(source), Some(Arc::new(lookup))))
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
    let pending = readiness.guard(LISTED);
    KubeSource::new(client, node, keys, metrics, clock, pending)
}
