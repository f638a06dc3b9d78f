//! What a watch tells, in our own words.

use std::sync::Arc;

use crate::{
    id::{PodRef, PodUid},
    pods::{Namespace, Pod, ServiceAccount},
};

/// Something that changed at the API server, already without what nobody here asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Among the pods of this node.
    Pods(Event<Seen>),
    /// Among all namespaces.
    Namespaces(Event<Named<Box<Namespace>>>),
    /// Among all ServiceAccounts.
    ServiceAccounts(Event<Named<ServiceAccount>>),
}

/// One step of a watch. All objects come first, between [`Restarted`](Self::Restarted) and
/// [`Complete`](Self::Complete); if some of what happened was lost, they come again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event<T> {
    /// All objects follow.
    Restarted,
    /// This is one of them.
    Listed(T),
    /// Those were all. There are no others at this version.
    Complete(Version),
    /// This object is new, or other than it was.
    Applied(T, Version),
    /// This object is no more, and was so when it was deleted.
    Deleted(T, Version),
    /// Nothing else happened until this version.
    Reached(Version),
    /// Nothing is told for now, whatever happens, until any of the above but the first two is.
    Lost,
}

impl<T> Event<T> {
    /// The same of another kind of object; without the object where that is nothing.
    pub(super) fn filter_map<U>(self, see: impl FnOnce(T) -> Option<U>) -> Option<Event<U>> {
        Some(match self {
            Self::Restarted => Event::Restarted,
            Self::Lost => Event::Lost,
            Self::Complete(version) => Event::Complete(version),
            Self::Reached(version) => Event::Reached(version),
            Self::Listed(object) => Event::Listed(see(object)?),
            Self::Applied(object, version) => match see(object) {
                Some(object) => Event::Applied(object, version),
                None => Event::Reached(version),
            },
            Self::Deleted(object, version) => match see(object) {
                Some(object) => Event::Deleted(object, version),
                None => Event::Reached(version),
            },
        })
    }
}

/// When something happened, on the one clock that all objects of a cluster share: their resource version.
///
/// Kubernetes promises its order within one kind of object only. Between kinds it is used where a wrong answer makes us
/// ask once more than needed, or where all kinds are in one etcd, as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64);

impl Version {
    /// Before everything: how far a watch came that does not say how far.
    pub(super) const START: Self = Self(0);

    /// After everything: when a pod came that does not say when.
    pub(super) const END: Self = Self(u64::MAX);

    /// As the API server writes it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// A pod of the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// As the API server names it.
    pub(super) uid: PodUid,
    /// When it became so.
    pub(super) version: Version,
    /// What we know of it; `None` if it is none of ours (any more), or if it cannot be understood.
    pub(super) pod: Option<Arc<Pod>>,
}

/// A namespace, or something in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named<T> {
    /// Its name. A namespace is in none.
    pub(super) name: PodRef,
    /// What it says.
    pub(super) object: T,
}
