//! The tags of sessions: words that EKS Pod Identity uses, with what each pod is, and the operator's own.

use std::{fmt, sync::Arc};

use crate::{
    creds::{InvalidTags, Tags},
    id::Excerpt,
    pods::Pod,
};

use super::Cluster;

/// What stands for all words, as far as the operator said enough for them.
const ALL: [&str; 2] = ["all", "true"];

/// What says that there are none.
const NONE: [&str; 4] = ["", "off", "none", "false"];

/// In place of what a pod says, while there is none. What pods say are names of Kubernetes, which STS takes.
const ANY: &str = "x";

/// Which tags sessions have (`--session-tags`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionTags {
    fixed: Vec<(Arc<str>, Arc<str>)>,
    of_pod: Vec<(Arc<str>, Word)>,
    /// Where pods say nothing, the tags of all sessions.
    same: Tags,
}

/// A tag that EKS Pod Identity gives its sessions. (spec: the manual of Amazon EKS, on session tags of pods.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Namespace,
    ServiceAccount,
    PodName,
    PodUid,
    ClusterName,
    ClusterArn,
}

/// A text that says no tags.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSessionTags {
    /// It is no word that is known.
    #[error("{0} is none of {words}; give some of these, all, off, or KEY=VALUE", words = Word::ALL.map(Word::key).join(", "))]
    Unknown(Excerpt),
    /// The tag tells of the cluster, and nobody said what it is.
    #[error("{tag} is not known; give {flag} as well")]
    NoCluster {
        /// The tag.
        tag: &'static str,
        /// What would tell it.
        flag: &'static str,
    },
    /// What a word says is nobody's to choose: policies grant by it.
    #[error(
        "{entry} gives a value to {word}, whose value is what pod and cluster are; give {word} alone"
    )]
    Value {
        /// What was given.
        entry: Excerpt,
        /// The word.
        word: &'static str,
    },
    /// STS would not take them.
    #[error(transparent)]
    Tags(#[from] InvalidTags),
}

impl SessionTags {
    /// Reads `text`: words and `KEY=VALUE`, with commas between them.
    pub fn new(text: &str, cluster: &Cluster) -> Result<Self, InvalidSessionTags> {
        let mut tags = Self::default();
        if NONE.contains(&text.trim()) {
            return Ok(tags);
        }
        let entries = text.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match entry.split_once('=') {
                Some((key, value)) => match Word::like(key) {
                    Some(word) => {
                        let (entry, word) = (Excerpt::of(entry), word.key());
                        return Err(InvalidSessionTags::Value { entry, word });
                    }
                    None => tags.fixed.push((key.into(), value.into())),
                },
                None if ALL.contains(&entry) => tags.all(cluster),
                None => tags.word(entry, cluster)?,
            }
        }
        let checked = tags.with(|_| Some(ANY.into()))?;
        if tags.of_pod.is_empty() {
            tags.same = checked;
        }
        Ok(tags)
    }

    /// Whether a session may have the tag `key`.
    pub fn has(&self, key: &str) -> bool {
        let fixed = self.fixed.iter().map(|(key, _)| key);
        let mut all = fixed.chain(self.of_pod.iter().map(|(key, _)| key));
        all.any(|one| **one == *key)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.of_pod.is_empty()
    }

    /// Those of `pod`. What it does not have is no tag: an empty one would be a value that policies can ask for.
    pub(super) fn of(&self, pod: &Pod) -> Result<Tags, InvalidTags> {
        if self.of_pod.is_empty() {
            return Ok(self.same.clone());
        }
        self.with(|word| word.of(pod))
    }

    fn with(&self, say: impl Fn(Word) -> Option<Arc<str>>) -> Result<Tags, InvalidTags> {
        let fixed = self.fixed.iter().cloned();
        let of_pod = self.of_pod.iter();
        let of_pod = of_pod.filter_map(|(key, word)| Some((Arc::clone(key), say(*word)?)));
        Tags::new(fixed.chain(of_pod))
    }

    fn all(&mut self, cluster: &Cluster) {
        for word in Word::ALL {
            // What nobody said of the cluster is left out.
            let _added = self.add(word, cluster).is_ok();
        }
    }

    fn word(&mut self, entry: &str, cluster: &Cluster) -> Result<(), InvalidSessionTags> {
        let word = Word::ALL.into_iter().find(|word| word.key() == entry);
        let word = word.ok_or_else(|| InvalidSessionTags::Unknown(Excerpt::of(entry)))?;
        self.add(word, cluster)
    }

    fn add(&mut self, word: Word, cluster: &Cluster) -> Result<(), InvalidSessionTags> {
        let (said, flag) = match word {
            Word::ClusterName => (cluster.name(), "--cluster-name"),
            Word::ClusterArn => (cluster.arn(), "--cluster-arn"),
            Word::Namespace | Word::ServiceAccount | Word::PodName | Word::PodUid => {
                self.of_pod.push((word.key().into(), word));
                return Ok(());
            }
        };
        let tag = word.key();
        let value = said.ok_or(InvalidSessionTags::NoCluster { tag, flag })?;
        self.fixed.push((tag.into(), value.into()));
        Ok(())
    }
}

impl Word {
    const ALL: [Self; 6] = [
        Self::Namespace,
        Self::ServiceAccount,
        Self::PodName,
        Self::PodUid,
        Self::ClusterName,
        Self::ClusterArn,
    ];

    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Namespace => "kubernetes-namespace",
            Self::ServiceAccount => "kubernetes-service-account",
            Self::PodName => "kubernetes-pod-name",
            Self::PodUid => "kubernetes-pod-uid",
            Self::ClusterName => "eks-cluster-name",
            Self::ClusterArn => "eks-cluster-arn",
        }
    }

    /// The word that `key` is to STS, which looks at no capitals, or could be taken for.
    fn like(key: &str) -> Option<Self> {
        let is = |word: &Self| word.key().eq_ignore_ascii_case(key.trim());
        Self::ALL.into_iter().find(is)
    }

    /// What `pod` is.
    fn of(self, pod: &Pod) -> Option<Arc<str>> {
        match self {
            Self::Namespace => Some(pod.name.namespace().into()),
            Self::ServiceAccount => Some(pod.service_account.as_deref()?.into()),
            Self::PodName => Some(pod.name.name().into()),
            Self::PodUid => Some(pod.api_uid.to_string().into()),
            Self::ClusterName | Self::ClusterArn => None,
        }
    }
}

/// As they could have been given, and beside the words of the cluster what they say.
impl fmt::Display for SessionTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("off");
        }
        let of_pod = self.of_pod.iter().map(|(key, _)| key.to_string());
        let fixed = self.fixed.iter();
        let fixed = fixed.map(|(key, value)| format!("{key}={value}"));
        let all: Vec<_> = of_pod.chain(fixed).collect();
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests;
