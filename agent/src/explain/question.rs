//! What is asked: about which pod, and what is to be supposed.

use std::{str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    id::{Excerpt, PodRef, is_dns_label, is_dns_subdomain},
    pods::{Pod, ServiceAccount, Subject, annotation::Keys},
};

/// A question about a pod, as it crosses the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// What is to be supposed, in this order.
    #[serde(default)]
    pub suppositions: Vec<Supposition>,
}

/// Something that is to be supposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supposition {
    /// The pod has this annotation, or with `None` does not.
    Annotation(String, Option<String>),
    /// It runs as this ServiceAccount.
    ServiceAccount(String),
    /// Its annotation names this role.
    Role(String),
}

/// Why something is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongQuestion {
    /// It names no pod.
    #[error("{0} is no NAMESPACE/POD, as `kubectl get pods -A` shows them")]
    Pod(Excerpt),
    /// It names no ServiceAccount.
    #[error("{0} is no ServiceAccount's name")]
    ServiceAccount(Excerpt),
    /// It is no annotation.
    #[error("{0} is no annotation: KEY=VALUE, or KEY- for one that is not there")]
    Annotation(Excerpt),
}

impl Question {
    /// The pod that it is about.
    pub fn pod(&self) -> PodRef {
        PodRef::new(&*self.namespace, &*self.name)
    }

    /// The ServiceAccount that the pod is supposed to run as, if it is another.
    pub fn service_account(&self) -> Option<&str> {
        let mut last_first = self.suppositions.iter().rev();
        last_first.find_map(|one| match one {
            Supposition::ServiceAccount(name) => Some(name.as_str()),
            Supposition::Annotation(..) | Supposition::Role(_) => None,
        })
    }

    /// `subject` as it would be. `account` is the ServiceAccount that was asked for; `None` if it is not known.
    pub fn suppose(
        &self,
        subject: &Subject,
        account: Option<Arc<ServiceAccount>>,
        keys: &Keys,
    ) -> Subject {
        let mut pod = Pod::clone(&subject.pod);
        for supposition in &self.suppositions {
            supposition.apply(&mut pod, keys);
        }
        Subject {
            pod: Arc::new(pod),
            namespace: subject.namespace.clone(),
            service_account: match self.service_account() {
                Some(_) => account,
                None => subject.service_account.clone(),
            },
        }
    }

    /// What is supposed, in words.
    pub fn in_words(&self) -> Vec<String> {
        self.suppositions
            .iter()
            .map(Supposition::in_words)
            .collect()
    }
}

impl Supposition {
    fn apply(&self, pod: &mut Pod, keys: &Keys) {
        match self {
            Self::Annotation(key, Some(value)) => {
                pod.annotations.insert(key.clone(), value.clone());
            }
            Self::Annotation(key, None) => {
                pod.annotations.remove(key);
            }
            Self::ServiceAccount(name) => pod.service_account = Some(name.clone()),
            Self::Role(role) => {
                pod.annotations.insert(keys.role.clone(), role.clone());
            }
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Annotation(key, Some(value)) => {
                format!("the pod has the annotation {key}: {}", Excerpt::of(value))
            }
            Self::Annotation(key, None) => format!("the pod has no annotation {key}"),
            Self::ServiceAccount(name) => format!("the pod runs as the ServiceAccount {name}"),
            Self::Role(role) => format!("the pod's annotation names {}", Excerpt::of(role)),
        }
    }

    /// A ServiceAccount as it is typed.
    pub fn service_account(text: &str) -> Result<Self, WrongQuestion> {
        if is_dns_subdomain(text) {
            Ok(Self::ServiceAccount(text.to_owned()))
        } else {
            Err(WrongQuestion::ServiceAccount(Excerpt::of(text)))
        }
    }

    /// An annotation as it is typed: `KEY=VALUE`, or `KEY-`.
    pub fn annotation(text: &str) -> Result<Self, WrongQuestion> {
        let wrong = || WrongQuestion::Annotation(Excerpt::of(text));
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text.strip_suffix('-').ok_or_else(wrong)?, None),
        };
        if key.is_empty() {
            return Err(wrong());
        }
        Ok(Self::Annotation(key.to_owned(), value))
    }
}

/// A pod as it is typed: `NAMESPACE/POD`.
impl FromStr for Question {
    type Err = WrongQuestion;

    fn from_str(text: &str) -> Result<Self, WrongQuestion> {
        match text.split_once('/') {
            Some((namespace, name)) if is_dns_label(namespace, 63) && is_dns_subdomain(name) => {
                Ok(Self {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    suppositions: Vec::new(),
                })
            }
            Some(_) | None => Err(WrongQuestion::Pod(Excerpt::of(text))),
        }
    }
}
