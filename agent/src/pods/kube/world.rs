//! What we know of the API server, and what follows from it for the pods of this node. Pure: the same changes in the
//! same order give the same subjects.
//!
//! Pods are told apart by their UIDs, never by their names. While all objects are listed again, what was known stays
//! until the list is at its end; what is new in it counts at once. A namespace that we do not know says nothing only if
//! a watch that is further than the pod would have told of it. Else it may be on its way. A ServiceAccount that we do
//! not know is never one that says nothing: without it there would be no pod.
//!
//! While a watch is lost, what it told counts for the pods that were there before, and not for those that come: theirs
//! may have changed since, and is asked for.

mod listed;

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use crate::{
    id::PodUid,
    pods::{Namespace, Pod, ServiceAccount, Subject, surroundings::Surroundings},
};

use super::{
    event::{Change, Event, Named, Seen, Version},
    metrics::Counts,
};

use listed::{Before, Listed};

/// All that we know.
#[derive(Debug, Default)]
pub(super) struct World {
    pods: HashMap<PodUid, Resident>,
    pods_listed: Listed<HashSet<PodUid>>,
    surroundings: Surroundings,
    namespaces: Listed<Surroundings>,
    service_accounts: Listed<Surroundings>,
    /// What was said last, so that what did not change stays the same object.
    subjects: HashMap<PodUid, Arc<Subject>>,
}

/// A pod of this node.
#[derive(Debug)]
struct Resident {
    pod: Arc<Pod>,
    /// When it was there already.
    since: Version,
}

impl World {
    /// Takes note of a change.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Pods(event) => self.apply_pod(event),
            Change::Namespaces(event) => self.apply_namespace(event),
            Change::ServiceAccounts(event) => self.apply_service_account(event),
        }
    }

    /// Whether all objects were listed once.
    pub(super) const fn is_synced(&self) -> bool {
        self.pods_listed.reached().is_some()
            && self.namespaces.reached().is_some()
            && self.service_accounts.reached().is_some()
    }

    /// How much is known.
    pub(super) fn counts(&self) -> Counts {
        let (namespaces, service_accounts) = self.surroundings.counts();
        Counts {
            pods: self.pods.len(),
            namespaces,
            service_accounts,
        }
    }

    /// The pods with all that is around them; nothing before all pods are known. Two that claim the cgroup of the same
    /// static pod cannot be told from each other, and are left out.
    pub(super) fn subjects(&mut self) -> Option<Vec<Arc<Subject>>> {
        self.pods_listed.reached()?;
        let mut subjects = HashMap::with_capacity(self.pods.len());
        for resident in self.pods.values() {
            let uid = resident.pod.uid;
            match subjects.entry(uid) {
                Entry::Vacant(free) => drop(free.insert(Some(self.subject(resident)))),
                Entry::Occupied(mut taken) => drop(taken.insert(None)),
            }
        }
        let unique = subjects.into_iter();
        self.subjects = unique
            .filter_map(|(uid, subject)| Some((uid, subject?)))
            .collect();
        Some(self.subjects.values().cloned().collect())
    }

    fn subject(&self, resident: &Resident) -> Arc<Subject> {
        let subject = self.around(resident);
        match self.subjects.get(&subject.pod.uid) {
            Some(before) if **before == subject => Arc::clone(before),
            Some(_) | None => Arc::new(subject),
        }
    }

    fn around(&self, resident: &Resident) -> Subject {
        let (pod, since) = (&resident.pod, resident.since);
        let known = self.surroundings.around(Arc::clone(pod));
        let namespace = known.namespace.filter(|_| self.namespaces.is_so_at(since));
        let account = known
            .service_account
            .filter(|_| pod.service_account.is_none() || self.service_accounts.is_so_at(since));
        Subject {
            namespace: namespace.or_else(|| self.no_namespace(resident)),
            service_account: account,
            pod: known.pod,
        }
    }

    /// The namespace of a pod as one that says nothing, if it is known not to be there.
    fn no_namespace(&self, resident: &Resident) -> Option<Arc<Namespace>> {
        let name = resident.pod.name.namespace();
        let is_absent = self.surroundings.namespace(name).is_none();
        let all = (is_absent && self.namespaces.is_past(resident.since))
            .then(|| self.surroundings.all_around(Arc::clone(&resident.pod)));
        all?.namespace
    }

    fn apply_pod(&mut self, event: Event<Seen>) {
        match event {
            Event::Restarted => {
                if self.pods_listed.restart() == Before::Nothing {
                    self.pods.clear();
                }
            }
            Event::Listed(seen) => {
                if let Some(listed) = self.pods_listed.pending() {
                    listed.insert(seen.uid);
                }
                self.see(seen);
            }
            Event::Complete(version) => {
                if let Some(listed) = self.pods_listed.complete(version) {
                    self.pods.retain(|uid, _| listed.contains(uid));
                }
            }
            Event::Applied(seen, version) => {
                self.see(seen);
                self.pods_listed.reach(version);
            }
            Event::Deleted(seen, version) => {
                self.pods.remove(&seen.uid);
                self.pods_listed.reach(version);
            }
            Event::Reached(version) => self.pods_listed.reach(version),
            // Nothing here is judged by it: pods are what they were.
            Event::Lost => {}
        }
    }

    fn see(&mut self, seen: Seen) {
        let Some(pod) = seen.pod else {
            self.pods.remove(&seen.uid);
            return;
        };
        match self.pods.entry(seen.uid) {
            Entry::Vacant(free) => {
                free.insert(Resident {
                    pod,
                    since: seen.version,
                });
            }
            Entry::Occupied(mut taken) => {
                let resident = taken.get_mut();
                if resident.pod != pod {
                    resident.pod = pod;
                }
            }
        }
    }

    fn apply_namespace(&mut self, event: Event<Named<Box<Namespace>>>) {
        let (known, listed) = (&mut self.surroundings, &mut self.namespaces);
        match event {
            Event::Restarted => {
                if listed.restart() == Before::Nothing {
                    known.replace_namespaces(Surroundings::default());
                }
            }
            Event::Listed(named) => {
                if let Some(pending) = listed.pending() {
                    put_namespace(pending, copy(&named));
                }
                put_namespace(known, named);
            }
            Event::Complete(version) => {
                if let Some(all) = listed.complete(version) {
                    known.replace_namespaces(all);
                }
            }
            Event::Applied(named, version) => {
                put_namespace(known, named);
                listed.reach(version);
            }
            Event::Deleted(named, version) => {
                known.remove_namespace(named.name.name());
                listed.reach(version);
            }
            Event::Reached(version) => listed.reach(version),
            Event::Lost => listed.lose(self.pods_listed.reached()),
        }
    }

    fn apply_service_account(&mut self, event: Event<Named<ServiceAccount>>) {
        let (known, listed) = (&mut self.surroundings, &mut self.service_accounts);
        match event {
            Event::Restarted => {
                if listed.restart() == Before::Nothing {
                    known.replace_service_accounts(Surroundings::default());
                }
            }
            Event::Listed(named) => {
                if let Some(pending) = listed.pending() {
                    put_service_account(pending, named.clone());
                }
                put_service_account(known, named);
            }
            Event::Complete(version) => {
                if let Some(all) = listed.complete(version) {
                    known.replace_service_accounts(all);
                }
            }
            Event::Applied(named, version) => {
                put_service_account(known, named);
                listed.reach(version);
            }
            Event::Deleted(named, version) => {
                known.remove_service_account(named.name.namespace(), named.name.name());
                listed.reach(version);
            }
            Event::Reached(version) => listed.reach(version),
            Event::Lost => listed.lose(self.pods_listed.reached()),
        }
    }
}

fn put_namespace(known: &mut Surroundings, named: Named<Box<Namespace>>) {
    known.put_namespace(named.name.name(), *named.object);
}

/// Another one that says the same. What was made of it is not copied.
fn copy(named: &Named<Box<Namespace>>) -> Named<Box<Namespace>> {
    Named {
        name: named.name.clone(),
        object: Namespace::new(named.object.annotations().clone()).into(),
    }
}

fn put_service_account(known: &mut Surroundings, named: Named<ServiceAccount>) {
    let (namespace, name) = (named.name.namespace(), named.name.name());
    known.put_service_account(namespace, name, named.object);
}

#[cfg(test)]
mod tests;
