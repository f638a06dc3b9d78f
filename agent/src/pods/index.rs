//! The pods in memory: one writer, any number of readers, no locks held and nothing awaited on a look-up.
//!
//! Readers see whole snapshots. Until the writer has said once that it knows all pods, the index is not
//! ready, and a pod that is missing in it is unknown rather than absent.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::id::PodUid;

use super::Pod;

/// All pods at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pods: HashMap<PodUid, Arc<Pod>>,
    complete: bool,
}

impl Snapshot {
    /// The pod with this UID.
    pub fn pod(&self, uid: PodUid) -> Option<&Arc<Pod>> {
        self.pods.get(&uid)
    }

    /// Every pod, in no order.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// Whether all pods of the node are known.
    pub const fn complete(&self) -> bool {
        self.complete
    }
}

/// Makes an index without pods: the half that writes it, and the half that reads it.
pub fn new() -> (Writer, Store) {
    let (writer, reader) = watch::channel(Arc::default());
    (Writer(writer), Store(reader))
}

/// The only one that changes the index.
#[derive(Debug)]
pub struct Writer(watch::Sender<Arc<Snapshot>>);

impl Writer {
    /// Replaces everything by `pods`, which are all that there are.
    pub fn reset(&self, pods: impl IntoIterator<Item = Pod>) {
        let pods = pods
            .into_iter()
            .map(|pod| (pod.uid, Arc::new(pod)))
            .collect();
        self.0.send_replace(Arc::new(Snapshot {
            pods,
            complete: true,
        }));
    }
}

/// Reads the index.
#[derive(Clone, Debug)]
pub struct Store(watch::Receiver<Arc<Snapshot>>);

impl Store {
    /// The pods as they are now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for the pod with this UID to appear, at most `patience`.
    pub async fn wait_for(&self, uid: PodUid, patience: Duration) -> Option<Arc<Pod>> {
        let mut reader = self.0.clone();
        let known = reader.wait_for(|snapshot| snapshot.pods.contains_key(&uid));
        let snapshot = tokio::time::timeout(patience, known).await.ok()?.ok()?;
        snapshot.pod(uid).cloned()
    }

    /// Each snapshot from now on, the present one first.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        let mut reader = self.0.clone();
        reader.mark_changed();
        reader
    }
}
