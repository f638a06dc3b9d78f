//! What the operator calls the agent's DaemonSet.

use std::{fmt, str::FromStr};

use crate::id::{Excerpt, is_dns_label, is_dns_subdomain};

/// Its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A text that is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no NAMESPACE/NAME of a DaemonSet")]
pub struct InvalidName(Excerpt);

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parts = text.split_once('/');
        let (namespace, name) = parts
            .filter(|(namespace, name)| is_dns_label(namespace, 63) && is_dns_subdomain(name))
            .ok_or_else(|| InvalidName(Excerpt::of(text)))?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_namespace() {
        let name: Name = "kube-system/bpf2iam".parse().unwrap();
        assert_eq!(name.to_string(), "kube-system/bpf2iam");
        for text in [
            "",
            "bpf2iam",
            "/bpf2iam",
            "kube-system/",
            "a/b/c",
            "A/b",
            "a/B",
        ] {
            let error = text.parse::<Name>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{text:?} is no NAMESPACE/NAME of a DaemonSet")
            );
        }
    }
}
