//! From a pod as the API spells it to ours: checked once, and without all that nobody here asks for.
//!
//! Files and the API server go through the same conversion. What the API server would not store is
//! refused, with the field that is wrong.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use k8s_openapi::{
    api::core::v1::{self as api, PodSpec, PodStatus},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::id::{ContainerId, ParseError, PodRef, PodUid, is_dns_label, is_dns_subdomain};

use super::{
    Container, Namespace, Pod, ServiceAccount,
    annotation::{self, CONFIG_HASH, CONFIG_MIRROR, Keys, TooMany},
    field::Field,
};

/// What the API server fills in where nothing is said: a namespace, and a ServiceAccount.
const DEFAULT: &str = "default";

/// Why a pod is none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Skip {
    /// It is bound to another node, or to none yet.
    Elsewhere(Option<String>),
    /// It has ended, and nothing of it runs any more.
    Finished(String),
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(None) => f.write_str("it is bound to no node"),
            Self::Elsewhere(Some(node)) => write!(f, "it is bound to the node {node}"),
            Self::Finished(phase) => write!(f, "it has ended: {phase}"),
        }
    }
}

/// Why a pod is no pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub(super) struct Invalid {
    /// The field that is wrong.
    pub(super) field: Field,
    /// What is wrong with it.
    pub(super) problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// It has to be there.
    #[error("it is missing")]
    Missing,
    /// No pod has this UID.
    #[error(transparent)]
    Uid(#[from] ParseError),
    /// No static pod has this hash.
    #[error("{0:?} is not a hash of 32 hexadecimal digits")]
    Hash(String),
    /// Nothing in Kubernetes has this name.
    #[error(
        "{0:?} is not a name (lower-case letters, digits, '-' and '.'; at most 253 characters)"
    )]
    Name(String),
    /// No namespace has this name.
    #[error("{0:?} is not a namespace (lower-case letters, digits and '-'; at most 63 characters)")]
    Namespace(String),
    /// It is no address.
    #[error("{0:?} is not an IP address")]
    Address(String),
    /// There are more than anybody means.
    #[error(transparent)]
    Annotations(#[from] TooMany),
}

/// Says why `pod` is none of `node`'s, if so; or why it is none of any node's.
pub(super) fn skip(pod: &api::Pod, node: Option<&str>) -> Option<Skip> {
    let bound = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    if node.is_some() && bound != node {
        return Some(Skip::Elsewhere(bound.map(str::to_owned)));
    }
    let status = pod.status.as_ref()?;
    let phase = status.phase.as_deref()?;
    matches!(phase, "Succeeded" | "Failed").then(|| Skip::Finished(phase.to_owned()))
}

/// Takes what we need out of `pod`.
pub(super) fn pod(pod: api::Pod, keys: &Keys) -> Result<Pod, Invalid> {
    let spec = pod.spec.unwrap_or_default();
    let status = pod.status.unwrap_or_default();
    let (api_uid, hash) = (uid(&pod.metadata)?, config_hash(&pod.metadata)?);
    let names = containers_of(&spec);
    let annotations = pod.metadata.annotations.as_ref();
    let annotations = annotations.map(|all| keys.of_pod(all, &names)).transpose();
    let annotations = annotations
        .map_err(|error| wrong(["metadata", "annotations"], Problem::Annotations(error)))?;
    Ok(Pod {
        uid: hash.unwrap_or(api_uid),
        api_uid,
        name: name(&pod.metadata)?,
        service_account: match hash {
            Some(_) => None,
            None => Some(service_account(spec.service_account_name)?),
        },
        host_network: spec.host_network.unwrap_or_default(),
        ips: ips(&status)?,
        containers: containers(&status),
        annotations: annotations.unwrap_or_default(),
    })
}

/// Takes what we need out of a namespace.
pub(super) fn namespace(metadata: &ObjectMeta, keys: &Keys) -> Namespace {
    let annotations = metadata.annotations.as_ref();
    let kept = annotations.map(|all| keys.of_namespace(all));
    Namespace::new(kept.unwrap_or_default())
}

/// Takes what we need out of a ServiceAccount.
pub(super) fn service_account_of(metadata: &ObjectMeta) -> ServiceAccount {
    let annotations = metadata.annotations.as_ref();
    ServiceAccount {
        annotations: annotations
            .map(annotation::of_service_account)
            .unwrap_or_default(),
    }
}

/// The name of an object and its namespace.
pub(super) fn name(metadata: &ObjectMeta) -> Result<PodRef, Invalid> {
    let name = required(metadata.name.as_deref(), ["metadata", "name"])?;
    if !is_dns_subdomain(name) {
        return Err(wrong(["metadata", "name"], Problem::Name(name.to_owned())));
    }
    let namespace = metadata.namespace.as_deref().unwrap_or(DEFAULT);
    if !is_dns_label(namespace, 63) {
        let problem = Problem::Namespace(namespace.to_owned());
        return Err(wrong(["metadata", "namespace"], problem));
    }
    Ok(PodRef::new(namespace, name))
}

/// The UID at the API server.
fn uid(metadata: &ObjectMeta) -> Result<PodUid, Invalid> {
    let field = ["metadata", "uid"];
    required(metadata.uid.as_deref(), field)?
        .parse()
        .map_err(|error| wrong(field, Problem::Uid(error)))
}

/// What stands in the name of a static pod's cgroup instead of a UID.
fn config_hash(metadata: &ObjectMeta) -> Result<Option<PodUid>, Invalid> {
    let annotations = metadata.annotations.as_ref();
    let said = |key| annotations.and_then(|all| all.get(key));
    // Without the second annotation anybody's pod could claim the cgroup of a static one.
    let (Some(hash), Some(_)) = (said(CONFIG_HASH), said(CONFIG_MIRROR)) else {
        return Ok(None);
    };
    let invalid = || Invalid {
        field: Field::from(["metadata", "annotations"]).key(CONFIG_HASH),
        problem: Problem::Hash(hash.chars().take(64).collect()),
    };
    // With dashes it would be the UID of an ordinary pod, and whoever writes annotations could pass for it.
    if hash.contains('-') {
        return Err(invalid());
    }
    let parsed = hash.parse().map_err(|_no_uid: ParseError| invalid())?;
    Ok(Some(parsed))
}

fn service_account(name: Option<String>) -> Result<String, Invalid> {
    match name {
        None => Ok(DEFAULT.to_owned()),
        Some(name) if is_dns_subdomain(&name) => Ok(name),
        Some(name) => Err(wrong(["spec", "serviceAccountName"], Problem::Name(name))),
    }
}

/// All addresses; where only the older field is there, that one.
fn ips(status: &PodStatus) -> Result<Vec<IpAddr>, Invalid> {
    let parse = |text: &str, field: Field| {
        let problem = Problem::Address(text.to_owned());
        text.parse().map_err(|_no_ip| Invalid { field, problem })
    };
    let all = status.pod_ips.as_deref().unwrap_or_default();
    if let ([], Some(ip)) = (all, &status.pod_ip) {
        return Ok(vec![parse(ip, Field::from(["status", "podIP"]))?]);
    }
    let numbered = all.iter().enumerate().map(|(at, one)| {
        let field = Field::from(["status", "podIPs"]).index(at).key("ip");
        parse(&one.ip, field)
    });
    numbered.collect()
}

/// The containers of every kind that were started. Whose id is none that a cgroup bears, is left out.
fn containers(status: &PodStatus) -> Vec<Container> {
    let kinds = [
        &status.init_container_statuses,
        &status.container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let all = kinds.into_iter().flatten().flatten();
    all.filter_map(|container| {
        Some(Container {
            id: container_id(container.container_id.as_deref()?)?,
            name: container.name.clone(),
        })
    })
    .collect()
}

/// The id in `containerd://ID`.
fn container_id(text: &str) -> Option<ContainerId> {
    let (_runtime, id) = text.split_once("://")?;
    id.parse().ok()
}

/// The names of the containers of every kind that a pod is to have.
fn containers_of(spec: &PodSpec) -> BTreeSet<&str> {
    let init = spec.init_containers.iter().flatten();
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let names = spec.containers.iter().map(|one| one.name.as_str());
    names
        .chain(init.map(|one| one.name.as_str()))
        .chain(ephemeral.map(|one| one.name.as_str()))
        .collect()
}

fn required<'a, const N: usize>(
    value: Option<&'a str>,
    field: [&str; N],
) -> Result<&'a str, Invalid> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| wrong(field, Problem::Missing))
}

fn wrong<const N: usize>(field: [&str; N], problem: Problem) -> Invalid {
    Invalid {
        field: field.into(),
        problem,
    }
}

#[cfg(test)]
mod tests;
