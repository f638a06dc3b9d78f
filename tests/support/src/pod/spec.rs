//! What a pod is asked to be.

use std::{collections::BTreeMap, fmt};

use crate::cgroup::Qos;

/// A pod before it is made.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID; a random one when there is none. A static pod has 32 digits without dashes.
    pub uid: Option<String>,
    /// Decides where its cgroup is.
    pub qos: Qos,
    /// Whether it shares the node's network namespace.
    pub host_network: bool,
    /// The ServiceAccount it runs as.
    pub service_account: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// The names of its containers.
    pub containers: Vec<String>,
}

impl Spec {
    /// An ordinary pod with one container, `app`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            uid: None,
            qos: Qos::default(),
            host_network: false,
            service_account: "default".to_owned(),
            annotations: BTreeMap::new(),
            containers: vec!["app".to_owned()],
        }
    }

    /// With this UID.
    #[must_use]
    pub fn uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = Some(uid.into());
        self
    }

    /// With this quality of service.
    #[must_use]
    pub fn qos(mut self, qos: Qos) -> Self {
        self.qos = qos;
        self
    }

    /// On the node's network.
    #[must_use]
    pub fn on_host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// As this ServiceAccount.
    #[must_use]
    pub fn service_account(mut self, name: impl Into<String>) -> Self {
        self.service_account = name.into();
        self
    }

    /// With one more annotation.
    #[must_use]
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// With one more container.
    #[must_use]
    pub fn container(mut self, name: impl Into<String>) -> Self {
        self.containers.push(name.into());
        self
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
