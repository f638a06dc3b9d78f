//! The pods in memory: one writer, any number of readers, no locks held and nothing awaited on a look-up.
//!
//! Readers see whole snapshots. Until the writer has said once that it knows all pods, the index is not
//! ready, and a pod that is missing in it is unknown rather than absent.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::watch;

use crate::id::PodUid;

use super::Subject;

/// All pods at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pods: HashMap<PodUid, Arc<Subject>>,
    complete: bool,
}

impl Snapshot {
    /// The pod with this UID, with what is around it.
    pub fn pod(&self, uid: PodUid) -> Option<&Arc<Subject>> {
        self.pods.get(&uid)
    }

    /// Every pod, in no order.
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Subject>> {
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
    pub fn reset(&self, pods: impl IntoIterator<Item = impl Into<Arc<Subject>>>) -> Changes {
        let pods: HashMap<_, _> = pods
            .into_iter()
            .map(Into::into)
            .map(|subject: Arc<Subject>| (subject.pod.uid, subject))
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
    fn between(old: &HashMap<PodUid, Arc<Subject>>, new: &HashMap<PodUid, Arc<Subject>>) -> Self {
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

    /// Each snapshot from now on, the present one first.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        let mut reader = self.0.clone();
        reader.mark_changed();
        reader
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::PodRef, pods::Pod};

    fn pod(number: u8) -> Subject {
        let uid = format!("00000000-0000-0000-0000-0000000000{number:02x}");
        let name = PodRef::new("shop", format!("cart-{number}"));
        Subject::alone(Pod::new(uid.parse().unwrap(), name))
    }

    fn uid(number: u8) -> PodUid {
        pod(number).pod.uid
    }

    #[test]
    fn nothing_is_known_until_the_writer_knows_all() {
        let (writer, store) = new();
        assert!(!store.snapshot().complete());
        assert_eq!(store.snapshot().pods().len(), 0);
        writer.reset([] as [Subject; 0]);
        assert!(store.snapshot().complete());
    }

    #[test]
    fn a_reset_replaces_everything_and_tells_what_changed() {
        let (writer, store) = new();
        let mut moved = pod(2);
        moved.service_account = None;
        for (pods, added, removed, changed) in [
            (vec![pod(1), pod(2)], 2, 0, 0),
            (vec![pod(2), pod(1)], 0, 0, 0),
            (vec![pod(1), moved], 0, 0, 1),
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
                assert_eq!(snapshot.pod(pod.pod.uid).map(Arc::as_ref), Some(&pod));
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
        writer.reset([] as [Subject; 0]);
        assert!(before.pod(uid(1)).is_some());
        assert!(store.snapshot().pod(uid(1)).is_none());
    }
}
