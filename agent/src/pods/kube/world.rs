//! What we know of the API server, and what follows from it for the pods of this node. Pure: the same changes in the
//! same order give the same subjects.
//!
//! Pods are told apart by their UIDs, never by their names. While all objects are listed again, what was known stays
//! until the list is at its end; what is new in it counts at once. A namespace or ServiceAccount that we do not know
//! says nothing only if a watch that is further than the pod would have told of it. Else it may be on its way.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use crate::{
    id::{PodRef, PodUid},
    pods::{Namespace, Pod, ServiceAccount, Subject, surroundings::Surroundings},
};

use super::{
    event::{Change, Event, Named, Seen, Version},
    metrics::Counts,
};

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

/// How far we know all objects of a kind.
#[derive(Debug)]
struct Listed<T> {
    /// What the list that is under way has told, if another one was complete before.
    pending: Option<T>,
    /// All that happened until this version is known.
    reached: Option<Version>,
    /// What is there, but cannot be understood. Nobody knows what it says.
    unreadable: HashSet<PodRef>,
}

/// What a list, as it begins, finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    /// All that was there, which stays until the list is complete.
    Everything,
    /// Nothing but what lists have told that came to no end.
    Nothing,
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
        self.pods_listed.reached.is_some()
            && self.namespaces.reached.is_some()
            && self.service_accounts.reached.is_some()
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
        self.pods_listed.reached?;
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
        let known = self.surroundings.around(Arc::clone(&resident.pod));
        if known.namespace.is_some() && known.service_account.is_some() {
            return known;
        }
        let all = self.surroundings.all_around(Arc::clone(&resident.pod));
        let (name, account) = (&resident.pod.name, &resident.pod.service_account);
        let namespace = all.namespace.filter(|_| {
            let name = PodRef::new("", name.namespace());
            self.namespaces.has_not(&name, resident.since)
        });
        let account = all.service_account.filter(|_| {
            let name = PodRef::new(name.namespace(), account.as_deref().unwrap_or_default());
            self.service_accounts.has_not(&name, resident.since)
        });
        Subject {
            pod: known.pod,
            namespace: known.namespace.or(namespace),
            service_account: known.service_account.or(account),
        }
    }

    fn apply_pod(&mut self, event: Event<Seen>) {
        match event {
            Event::Restarted => {
                if self.pods_listed.restart() == Before::Nothing {
                    self.pods.clear();
                }
            }
            Event::Listed(seen) => {
                if let Some(listed) = &mut self.pods_listed.pending {
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
                listed.note(&named);
                if let Some(pending) = &mut listed.pending {
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
                listed.note(&named);
                put_namespace(known, named);
                listed.reach(version);
            }
            Event::Deleted(named, version) => {
                listed.unreadable.remove(&named.name);
                known.remove_namespace(named.name.name());
                listed.reach(version);
            }
            Event::Reached(version) => listed.reach(version),
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
                listed.note(&named);
                if let Some(pending) = &mut listed.pending {
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
                listed.note(&named);
                put_service_account(known, named);
                listed.reach(version);
            }
            Event::Deleted(named, version) => {
                listed.unreadable.remove(&named.name);
                known.remove_service_account(named.name.namespace(), named.name.name());
                listed.reach(version);
            }
            Event::Reached(version) => listed.reach(version),
        }
    }
}

fn put_namespace(known: &mut Surroundings, named: Named<Box<Namespace>>) {
    let name = named.name.name();
    match named.object {
        Some(namespace) => known.put_namespace(name, *namespace),
        None => known.remove_namespace(name),
    }
}

/// Another one that says the same. What was made of it is not copied.
fn copy(named: &Named<Box<Namespace>>) -> Named<Box<Namespace>> {
    let object = named.object.as_ref();
    Named {
        name: named.name.clone(),
        object: object.map(|namespace| Namespace::new(namespace.annotations().clone()).into()),
    }
}

fn put_service_account(known: &mut Surroundings, named: Named<ServiceAccount>) {
    let (namespace, name) = (named.name.namespace(), named.name.name());
    match named.object {
        Some(account) => known.put_service_account(namespace, name, account),
        None => known.remove_service_account(namespace, name),
    }
}

impl<T: Default> Listed<T> {
    /// All objects follow. The first ones are not kept twice: in memory that would leave as many holes as objects.
    fn restart(&mut self) -> Before {
        self.pending = self.reached.map(|_| T::default());
        match self.pending {
            Some(_) => Before::Everything,
            None => Before::Nothing,
        }
    }

    /// Those were all: they.
    fn complete(&mut self, version: Version) -> Option<T> {
        self.reached = Some(version);
        self.pending.take()
    }

    /// Remembers whether an object can be understood.
    fn note<O>(&mut self, named: &Named<O>) {
        if named.object.is_some() {
            self.unreadable.remove(&named.name);
        } else {
            self.unreadable.insert(named.name.clone());
        }
    }

    /// Whether there was no such object at some time after `since`, if we do not know it.
    fn has_not(&self, name: &PodRef, since: Version) -> bool {
        self.reached >= Some(since) && !self.unreadable.contains(name)
    }

    /// Before the first list is complete, nothing is reached.
    fn reach(&mut self, version: Version) {
        if self.reached.is_some() {
            self.reached = Some(version);
        }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            pending: None,
            reached: None,
            unreadable: HashSet::new(),
        }
    }
}

#[cfg(test)]
mod tests;
