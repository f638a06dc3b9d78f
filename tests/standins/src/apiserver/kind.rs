//! The kinds of objects that are kept, and what names an object.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of Kubernetes")]
pub enum Kind {
    Pod,
    Namespace,
    ServiceAccount,
    Event,
    Node,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Pod,
        Self::Namespace,
        Self::ServiceAccount,
        Self::Event,
        Self::Node,
    ];

    /// As an object spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Namespace => "Namespace",
            Self::ServiceAccount => "ServiceAccount",
            Self::Event => "Event",
            Self::Node => "Node",
        }
    }

    /// As a path spells it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Namespace => "namespaces",
            Self::ServiceAccount => "serviceaccounts",
            Self::Event => "events",
            Self::Node => "nodes",
        }
    }

    /// As the API server's messages spell it.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Event => "events.events.k8s.io",
            Self::Pod | Self::Namespace | Self::ServiceAccount | Self::Node => self.plural(),
        }
    }

    /// The API group; the core has no name.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Event => "events.k8s.io",
            Self::Pod | Self::Namespace | Self::ServiceAccount | Self::Node => "",
        }
    }

    /// The group with its version.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::Event => "events.k8s.io/v1",
            Self::Pod | Self::Namespace | Self::ServiceAccount | Self::Node => "v1",
        }
    }

    /// Whether its objects are in namespaces.
    pub const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node)
    }

    /// The kind that an object says it is.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind that a path names.
    pub(super) fn at(api_version: &str, plural: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.api_version() == api_version && kind.plural() == plural)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What names an object of a kind. In the order of etcd: by namespace, then by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Empty where the kind has none.
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}
