//! Pods from the Kubernetes API: those of this node, with their namespaces and ServiceAccounts.
//!
//! Three watches, of which only one sees whole objects: the pods of this node. Of namespaces and ServiceAccounts, which
//! are the whole cluster's, the server sends the metadata. All objects are cut down to what we read when they come. One
//! task writes the index. While the API server is away, what is known stays in use.

mod episode;
mod event;
mod failure;
mod lookup;
pub mod metrics;
mod sight;
mod slim;
mod watch;
mod world;

use std::{convert::Infallible, fmt, time::Duration};

use anyhow::anyhow;
use k8s_openapi::api::core::v1 as api;
use kube::Api;
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};

use crate::{clock::Clock, kubernetes::Client, memory, readiness::Guard};

use super::{Source, annotation::Keys, index};

use event::{Change, Event};
use metrics::{Kind, Metrics};
use sight::Sight;
use slim::{Metadata, SlimPod};
use watch::{Listener, Patience, Watch};
use world::World;

pub use failure::Reason;
pub use lookup::KubeLookup;

/// While much happens, the index is written this often.
const PACE: Duration = Duration::from_millis(10);

/// So many changes wait until they are written. Then the watches wait.
const QUEUE: usize = 256;

/// The pods that the API server knows on this node.
pub struct KubeSource {
    client: Client,
    node: String,
    keys: Keys,
    metrics: Metrics,
    clock: Clock,
    patience: Patience,
    pending: Option<Guard>,
}

impl KubeSource {
    /// Makes ready to follow the pods of `node`. Drops `pending` when all is known for the first time.
    pub fn new(
        client: Client,
        node: &str,
        keys: Keys,
        metrics: Metrics,
        clock: Clock,
        pending: Guard,
    ) -> Self {
        Self {
            client,
            node: node.to_owned(),
            keys,
            metrics,
            clock,
            patience: Patience::REAL,
            pending: Some(pending),
        }
    }

    async fn watch_pods(&self, changes: mpsc::Sender<Change>) -> Infallible {
        let mut sight = self.sight();
        let watch = self.watch::<SlimPod>(Kind::Pods, Some(of_node(&self.node)));
        let see =
            move |event: Event<SlimPod>| event.filter_map(|pod| sight.pod(pod.0)).map(Change::Pods);
        watch.run(Writes { changes, see }).await
    }

    async fn watch_namespaces(&self, changes: mpsc::Sender<Change>) -> Infallible {
        let mut sight = self.sight();
        let watch = self.watch::<Metadata<api::Namespace>>(Kind::Namespaces, None);
        let see = move |event: Event<Metadata<api::Namespace>>| {
            let event = event.filter_map(|found| sight.namespace(&found.metadata));
            event.map(Change::Namespaces)
        };
        watch.run(Writes { changes, see }).await
    }

    async fn watch_service_accounts(&self, changes: mpsc::Sender<Change>) -> Infallible {
        let mut sight = self.sight();
        let watch = self.watch::<Metadata<api::ServiceAccount>>(Kind::ServiceAccounts, None);
        let see = move |event: Event<Metadata<api::ServiceAccount>>| {
            let event = event.filter_map(|found| sight.service_account(&found.metadata));
            event.map(Change::ServiceAccounts)
        };
        watch.run(Writes { changes, see }).await
    }

    fn watch<K>(&self, kind: Kind, fields: Option<String>) -> Watch<K>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + DeserializeOwned
            + fmt::Debug
            + Send
            + 'static,
    {
        let (api, metrics) = (Api::all(self.client.clone()), self.metrics.clone());
        Watch::new(kind, api, fields, self.patience, metrics, self.clock)
    }

    fn sight(&self) -> Sight {
        Sight::new(&self.node, self.keys.clone(), self.metrics.clone())
    }
}

impl Source for KubeSource {
    async fn run(mut self, index: index::Writer) -> anyhow::Error {
        let (changes, queue) = mpsc::channel(QUEUE);
        let mut writer = Writer {
            world: World::default(),
            index,
            metrics: self.metrics.clone(),
            pending: self.pending.take(),
        };
        tokio::select! {
            never = Box::pin(self.watch_pods(changes.clone())) => match never {},
            never = Box::pin(self.watch_namespaces(changes.clone())) => match never {},
            never = Box::pin(self.watch_service_accounts(changes.clone())) => match never {},
            () = writer.run(queue) => anyhow!("nobody watches the API server any more"),
        }
    }
}

impl fmt::Debug for KubeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeSource")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Selects the pods of `node`.
fn of_node(node: &str) -> String {
    format!("spec.nodeName={node}")
}

/// Hands to the writer what it hears.
struct Writes<F> {
    changes: mpsc::Sender<Change>,
    see: F,
}

impl<K, F> Listener<K> for Writes<F>
where
    K: Send,
    F: FnMut(Event<K>) -> Option<Change> + Send,
{
    async fn hear(&mut self, event: Event<K>) {
        if let Some(change) = (self.see)(event) {
            // The writer ends only when we do.
            let _taken = self.changes.send(change).await.is_ok();
        }
    }
}

/// The only one that writes the index.
struct Writer {
    world: World,
    index: index::Writer,
    metrics: Metrics,
    pending: Option<Guard>,
}

impl Writer {
    /// Writes what changes, at once after a quiet time, and at a pace while there is much of it.
    async fn run(&mut self, mut queue: mpsc::Receiver<Change>) {
        let mut changes = Vec::with_capacity(QUEUE);
        let mut next = Instant::now();
        while queue.recv_many(&mut changes, QUEUE).await > 0 {
            self.apply(&mut changes);
            // What comes until it is time is written along.
            let more = async {
                while queue.recv_many(&mut changes, QUEUE).await > 0 {
                    self.apply(&mut changes);
                }
            };
            let _ended = time::timeout_at(next, more).await.is_ok();
            self.publish();
            next = Instant::now() + PACE;
        }
    }

    fn apply(&mut self, changes: &mut Vec<Change>) {
        for change in changes.drain(..) {
            self.world.apply(change);
        }
    }

    fn publish(&mut self) {
        let counts = self.world.counts();
        self.metrics.known(counts);
        if let Some(subjects) = self.world.subjects() {
            let changes = self.index.reset(subjects);
            if changes != index::Changes::default() {
                tracing::trace!(?changes, "pods changed");
            }
        }
        if self.world.is_synced()
            && let Some(pending) = self.pending.take()
        {
            memory::give_back(); // lists take MiB that nothing takes afterwards
            tracing::info!(
                pods = counts.pods,
                namespaces = counts.namespaces,
                service_accounts = counts.service_accounts,
                "the pods of this node are known"
            );
            drop(pending);
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
