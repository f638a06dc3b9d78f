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

/// How many pods are not as they were before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Pods that were not there.
    pub added: usize,
    /// Pods that are not there any more.
    pub removed: usize,
    /// Pods of which something else changed.
    pub changed: usize,
}

impl Writer {
    /// Replaces everything by `pods`, which are all that there are. Readers hear of it only if something is
    /// different.
    pub fn reset(&self, pods: impl IntoIterator<Item = Pod>) -> Changes {
        let pods: HashMap<_, _> = pods
            .into_iter()
            .map(|pod| (pod.uid, Arc::new(pod)))
            .collect();
        let mut changes = Changes::default();
        self.0.send_if_modified(|snapshot| {
            changes = Changes::between(&snapshot.pods, &pods);
            let modified = !snapshot.complete || changes != Changes::default();
            if modified {
                *snapshot = Arc::new(Snapshot {
                    pods,
                    complete: true,
                });
            }
            modified
        });
        changes
    }
}

impl Changes {
    fn between(old: &HashMap<PodUid, Arc<Pod>>, new: &HashMap<PodUid, Arc<Pod>>) -> Self {
        let stayed = new.iter().filter(|(uid, _)| old.contains_key(uid)).count();
        let same = new.iter().filter(|(uid, pod)| old.get(uid) == Some(pod));
        Self {
            added: new.len() - stayed,
            removed: old.len() - stayed,
            changed: stayed - same.count(),
        }
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

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, iter};

    use tokio::time::Instant;

    use super::*;
    use crate::id::PodRef;

    const PATIENCE: Duration = Duration::from_millis(900);

    fn pod(number: u8) -> Pod {
        Pod {
            uid: format!("00000000-0000-0000-0000-0000000000{number:02x}")
                .parse()
                .unwrap(),
            name: PodRef::new("shop", format!("cart-{number}")),
            service_account: "default".to_owned(),
            host_network: false,
            ips: Vec::new(),
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn nothing_is_known_until_the_writer_knows_all() {
        let (writer, store) = new();
        assert!(!store.snapshot().complete());
        assert_eq!(store.snapshot().pods().len(), 0);
        writer.reset(iter::empty());
        assert!(store.snapshot().complete());
    }

    #[test]
    fn a_reset_replaces_everything_and_tells_what_changed() {
        let (writer, store) = new();
        let mut moved = pod(2);
        moved.ips.push([10, 0, 0, 7].into());
        for (pods, added, removed, changed) in [
            (vec![pod(1), pod(2)], 2, 0, 0),
            (vec![pod(2), pod(1)], 0, 0, 0),
            (vec![pod(1), moved.clone()], 0, 0, 1),
            (vec![pod(2), pod(3)], 1, 1, 1),
            (vec![], 0, 2, 0),
        ] {
            let expected = Changes {
                added,
                removed,
                changed,
            };
            assert_eq!(writer.reset(pods.clone()), expected, "{pods:?}");
            let snapshot = store.snapshot();
            assert_eq!(snapshot.pods().len(), pods.len());
            for pod in pods {
                assert_eq!(snapshot.pod(pod.uid).map(Arc::as_ref), Some(&pod));
            }
        }
        assert!(store.snapshot().complete());
    }

    #[test]
    fn readers_hear_of_what_changed_and_of_nothing_else() {
        let (writer, store) = new();
        let mut watch = store.watch();
        assert!(watch.has_changed().unwrap(), "the present one comes first");
        assert!(!watch.borrow_and_update().complete());
        for (pods, heard) in [
            (vec![], true),
            (vec![], false),
            (vec![pod(1)], true),
            (vec![pod(1)], false),
        ] {
            writer.reset(pods.clone());
            assert_eq!(watch.has_changed().unwrap(), heard, "{pods:?}");
            drop(watch.borrow_and_update());
        }
    }

    #[test]
    fn a_snapshot_stays_as_it_was() {
        let (writer, store) = new();
        writer.reset([pod(1)]);
        let before = store.snapshot();
        writer.reset([]);
        assert!(before.pod(pod(1).uid).is_some());
        assert!(store.snapshot().pod(pod(1).uid).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_known_pod_is_not_waited_for() {
        let (writer, store) = new();
        writer.reset([pod(1)]);
        let start = Instant::now();
        let found = store.wait_for(pod(1).uid, PATIENCE).await;
        assert_eq!(found.as_deref(), Some(&pod(1)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_that_appears_ends_the_wait_and_another_does_not() {
        let (writer, store) = new();
        let start = Instant::now();
        let late = async {
            for pods in [vec![], vec![pod(2)], vec![pod(2), pod(1)]] {
                tokio::time::sleep(Duration::from_millis(100)).await;
                writer.reset(pods);
            }
        };
        let (found, ()) = tokio::join!(store.wait_for(pod(1).uid, PATIENCE), late);
        assert_eq!(found.as_deref(), Some(&pod(1)));
        assert_eq!(start.elapsed(), Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_is_bounded_whether_all_pods_are_known_or_not() {
        let (writer, store) = new();
        for complete in [false, true] {
            if complete {
                writer.reset([pod(2)]);
            }
            let start = Instant::now();
            assert_eq!(store.wait_for(pod(1).uid, PATIENCE).await, None);
            assert_eq!(start.elapsed(), PATIENCE, "{complete}");
            assert_eq!(store.snapshot().complete(), complete);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_writer_nobody_waits() {
        let (writer, store) = new();
        drop(writer);
        let start = Instant::now();
        assert_eq!(store.wait_for(pod(1).uid, PATIENCE).await, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
