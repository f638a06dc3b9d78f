//! Keeps the cache of credentials equal to what the pods of this node may have.
//!
//! So a role's credentials are fetched when its first pod is bound to the node, before a container of
//! that pod runs, and their renewal stops when the last such pod is gone.

use std::{collections::HashSet, sync::Arc};

use crate::{
    creds::{Cache, Identity},
    drain,
    pods::{
        binding::{self, Policy},
        index::{Snapshot, Store},
    },
};

/// Follows the index until the end has come, or nobody writes the index any more.
///
/// The credentials stay when it returns: what is being answered may still need them.
pub async fn run(store: Store, policy: Arc<Policy>, cache: Cache, mut drain: drain::Watch) {
    let mut snapshots = store.watch();
    loop {
        tokio::select! {
            () = drain.signaled() => return,
            changed = snapshots.changed() => if changed.is_err() {
                return;
            },
        }
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        // Before all pods are known, nothing is known about who is gone.
        if snapshot.complete() {
            let wanted = wanted(&snapshot, &policy);
            tracing::debug!(
                pods = snapshot.pods().len(),
                identities = wanted.len(),
                "pods changed"
            );
            cache.retain(&wanted);
        }
    }
}

/// The identities that pods may have, each once.
fn wanted(snapshot: &Snapshot, policy: &Policy) -> HashSet<Identity> {
    let pods = snapshot.pods();
    pods.flat_map(|subject| binding::identities(subject, policy))
        .collect()
}

#[cfg(test)]
mod tests;
