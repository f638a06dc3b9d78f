//! From objects of the API server to what we keep of them.
//!
//! An object that cannot be understood is said once, counted, and counts as not known: never as one that says nothing.

mod complaints;

use std::sync::Arc;

use k8s_openapi::{api::core::v1 as api, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    id::{PodRef, PodUid},
    pods::{
        Namespace, ServiceAccount,
        annotation::Keys,
        convert::{self, Invalid},
    },
};

use super::{
    event::{Named, Seen, Version},
    metrics::{Kind, Metrics},
};

use complaints::Complaints;

/// Looks at objects.
#[derive(Debug)]
pub(super) struct Sight {
    node: String,
    keys: Keys,
    metrics: Metrics,
    complaints: Complaints,
}

impl Sight {
    pub(super) fn new(node: &str, keys: Keys, metrics: Metrics) -> Self {
        Self {
            node: node.to_owned(),
            keys,
            metrics,
            complaints: Complaints::default(),
        }
    }

    /// A pod, if it has at least a name of its own.
    pub(super) fn pod(&mut self, pod: api::Pod) -> Option<Seen> {
        let name = Name::of(&pod.metadata);
        let uid = pod
            .metadata
            .uid
            .as_deref()
            .and_then(|uid| uid.parse::<PodUid>().ok());
        let version = pod
            .metadata
            .resource_version
            .as_deref()
            .and_then(Version::parse);
        let pod = match convert::skip(&pod, Some(&self.node)) {
            Some(why) => {
                tracing::trace!(pod = name.full, %why, "not one of ours");
                None
            }
            None => self.valid(Kind::Pods, &name, convert::pod(pod, &self.keys)),
        };
        Some(Seen {
            uid: uid?,
            version: version.unwrap_or(Version::END),
            pod: pod.map(Arc::new),
        })
    }

    /// A namespace.
    pub(super) fn namespace(&mut self, metadata: &ObjectMeta) -> Option<Named<Box<Namespace>>> {
        let namespace = convert::namespace(metadata, &self.keys);
        let named = self.named(Kind::Namespaces, metadata, namespace)?;
        Some(Named {
            name: PodRef::new("", named.name.name()),
            object: Box::new(named.object),
        })
    }

    /// A ServiceAccount.
    pub(super) fn service_account(
        &mut self,
        metadata: &ObjectMeta,
    ) -> Option<Named<ServiceAccount>> {
        let account = convert::service_account_of(metadata);
        self.named(Kind::ServiceAccounts, metadata, account)
    }

    fn named<T>(&mut self, kind: Kind, metadata: &ObjectMeta, object: T) -> Option<Named<T>> {
        let name = self.valid(kind, &Name::of(metadata), convert::name(metadata))?;
        Some(Named { name, object })
    }

    fn valid<T>(&mut self, kind: Kind, name: &Name, object: Result<T, Invalid>) -> Option<T> {
        match object {
            Ok(object) => Some(object),
            Err(error) => {
                self.metrics.invalid(kind);
                let complaint = format!("{} {}: {error}", kind.singular(), name.full);
                if self.complaints.is_new(&name.namespace, &complaint) {
                    tracing::warn!("{complaint}; it counts as not known");
                }
                None
            }
        }
    }
}

/// How an object is called, be it valid or not.
struct Name {
    /// As people read it.
    full: String,
    /// Whose it is. A namespace is its own.
    namespace: String,
}

impl Name {
    fn of(metadata: &ObjectMeta) -> Self {
        let name = metadata.name.clone().unwrap_or_default();
        match metadata.namespace.clone() {
            Some(namespace) => Self {
                full: format!("{namespace}/{name}"),
                namespace,
            },
            None => Self {
                full: name.clone(),
                namespace: name,
            },
        }
    }
}
