//! Keeps the cache of credentials equal to what the pods of this node may have.
//!
//! So a role's credentials are fetched when its first pod is bound to the node, before a container of
//! that pod runs, and their renewal stops when the last such pod is gone. Pods that ran before the agent did have
//! keys already: theirs are fetched by and by, so that not all nodes of a cluster come to STS at once.

use std::{sync::Arc, time::Duration};

use tokio::time;

use crate::{
    creds::{Beginning, Cache, Wanted},
    drain,
    pods::{
        Pod,
        binding::{self, Policy},
        index::{Snapshot, Store},
    },
};

/// The last request of a pod may come after the pod has left the index, and have its keys fetched once more. They are
/// kept no longer than this.
const SWEEP: Duration = Duration::from_mins(5);

/// Follows the index until the end has come, or nobody writes the index any more.
///
/// The credentials stay when it returns: what is being answered may still need them.
pub async fn run(store: Store, policy: Arc<Policy>, cache: Cache, mut drain: drain::Watch) {
    let mut snapshots = store.watch();
    let mut before = Before::Us;
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            changed = time::timeout(SWEEP, snapshots.changed()) => if let Ok(Err(_closed)) = changed {
                return;
            },
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        // Before all pods are known, nothing is known about who is gone.
        if snapshot.complete() {
            let wanted = wanted(&snapshot, &policy, before);
            before = Before::Nothing;
            tracing::debug!(
                pods = snapshot.pods().len(),
                identities = wanted.len(),
                "pods changed"
            );
            cache.retain(&wanted);
        }
    }
}

/// What containers that are known may have been started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// We: the agent has just seen its pods for the first time.
    Us,
    /// Nothing that matters: whoever is new now is new.
    Nothing,
}

/// The identities that pods may have.
fn wanted(snapshot: &Snapshot, policy: &Policy, before: Before) -> Wanted {
    let mut wanted = Wanted::new();
    for subject in snapshot.pods() {
        let beginning = beginning(&subject.pod, before);
        for identity in binding::identities(subject, policy) {
            let known = wanted.entry(identity).or_insert(beginning);
            if beginning == Beginning::New {
                *known = Beginning::New;
            }
        }
    }
    wanted
}

/// Since when a pod needs what it may have.
fn beginning(pod: &Pod, before: Before) -> Beginning {
    match before {
        Before::Us if !pod.containers.is_empty() => Beginning::Running,
        Before::Us | Before::Nothing => Beginning::New,
    }
}

#[cfg(test)]
mod tests;
