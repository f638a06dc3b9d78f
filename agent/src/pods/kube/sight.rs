//! From objects of the API server to what we keep of them.
//!
//! An object that cannot be understood is said once, counted, and counts as not known: never as one that says nothing.

use std::{collections::HashSet, sync::Arc};

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

/// So many complaints are kept; whoever has more, has read enough.
const MOST: usize = 200;

/// Looks at objects.
#[derive(Debug)]
pub(super) struct Sight {
    node: String,
    keys: Keys,
    metrics: Metrics,
    complaints: HashSet<String>,
}

impl Sight {
    pub(super) fn new(node: &str, keys: Keys, metrics: Metrics) -> Self {
        Self {
            node: node.to_owned(),
            keys,
            metrics,
            complaints: HashSet::new(),
        }
    }

    /// A pod, if it has at least a name of its own.
    pub(super) fn pod(&mut self, pod: api::Pod) -> Option<Seen> {
        let name = full_name(&pod.metadata);
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
                tracing::trace!(pod = name, %why, "not one of ours");
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
    pub(super) fn namespace(&mut self, metadata: ObjectMeta) -> Option<Named<Box<Namespace>>> {
        let named = self.named(Kind::Namespaces, metadata, convert::namespace)?;
        Some(Named {
            name: PodRef::new("", named.name.name()),
            object: named.object.map(Box::new),
        })
    }

    /// A ServiceAccount.
    pub(super) fn service_account(
        &mut self,
        metadata: ObjectMeta,
    ) -> Option<Named<ServiceAccount>> {
        self.named(Kind::ServiceAccounts, metadata, convert::service_account_of)
    }

    fn named<T>(
        &mut self,
        kind: Kind,
        metadata: ObjectMeta,
        convert: fn(ObjectMeta, &Keys) -> Result<T, Invalid>,
    ) -> Option<Named<T>> {
        let full = full_name(&metadata);
        let name = self.valid(kind, &full, convert::name(&metadata))?;
        let object = self.valid(kind, &full, convert(metadata, &self.keys));
        Some(Named { name, object })
    }

    fn valid<T>(&mut self, kind: Kind, name: &str, object: Result<T, Invalid>) -> Option<T> {
        match object {
            Ok(object) => Some(object),
            Err(error) => {
                self.metrics.invalid(kind);
                self.complain(format!("{} {name}: {error}", kind.singular()));
                None
            }
        }
    }

    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < MOST && !self.complaints.contains(&complaint) {
            tracing::warn!("{complaint}; it counts as not known");
            self.complaints.insert(complaint);
        }
    }
}

fn full_name(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    match &metadata.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}
