//! One file of manifests: YAML or JSON, one document or several, `List`s included.
//!
//! Each document counts or is refused for itself, and each refusal names file, line, column and field.
//! Nothing is kept of what the file said before: a pod whose manifest is wrong now is not known. Pods of
//! other nodes and finished ones are left out. Namespaces and ServiceAccounts count for their annotations; other kinds
//! are none of our business.

mod error;
mod node;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Cursor,
    path::Path,
    sync::Arc,
};

use k8s_openapi::api::core::v1 as api;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_saphyr::Spanned;

use super::{Namespace, Pod, ServiceAccount, annotation::Keys, convert, field::Field};
use node::Node;

pub(super) use error::{Error, Place, Problem};

/// Aliases may make a document longer by so many values. Manifests hardly ever have any; with the parser's
/// own limit a file of one megabyte could keep us busy for minutes.
const MAX_REPLAYED: usize = 10_000;

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// So many bytes of a file.
    pub(super) file: u64,
    /// So many values of a document. One megabyte of real pods has ten thousand.
    values: usize,
    /// So many bytes in them.
    bytes: usize,
}

impl Limits {
    /// Of files that others may write, for an agent that runs for long. A `ConfigMap` takes no more than a megabyte, nor
    /// does the API server for one object.
    const AGENT: Self = Self {
        file: 1 << 20,
        values: 100_000,
        bytes: 2 << 20,
    };

    /// Of somebody's own files, for one question: all pods of a cluster in one list.
    const OFFLINE: Self = Self {
        file: 1 << 30,
        values: 100_000_000,
        bytes: 1 << 30,
    };
}

/// Where a pod has its containers.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// What is in a file.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The pods that count, each with the place of its UID.
    pub(super) pods: Vec<(Pod, Place)>,
    /// The namespaces, by name.
    pub(super) namespaces: Vec<(String, Namespace)>,
    /// The ServiceAccounts, by namespace and name.
    pub(super) service_accounts: Vec<((String, String), ServiceAccount)>,
    /// What does not count.
    pub(super) errors: Vec<Error>,
}

/// Whose manifests are read, and which annotations.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    /// The node whose pods count. Without one it is no agent that reads: those of any node count, and a manifest may be
    /// one that was never applied.
    pub(super) node: Option<String>,
    /// What the annotations are called.
    pub(super) keys: Keys,
}

impl Reads {
    /// How much is read.
    pub(super) const fn limits(&self) -> Limits {
        match self.node {
            Some(_) => Limits::AGENT,
            None => Limits::OFFLINE,
        }
    }
}

/// Reads `text`, which is what stands in `file`.
pub(super) fn parse(file: &Path, text: &str, reads: &Reads) -> Manifest {
    let mut reader = Reader {
        file: file.into(),
        reads,
        found: Manifest::default(),
    };
    let mut text = Cursor::new(text);
    let documents =
        serde_saphyr::read_with_options::<_, Spanned<Node>>(&mut text, options(reads.limits()));
    for document in documents {
        match document {
            Ok(document) => reader.object(&document),
            Err(error) => reader.unreadable(error),
        }
    }
    reader.found
}

fn options(limits: Limits) -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: limits.values,
            max_total_scalar_bytes: limits.bytes,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
    }
}

struct Reader<'a> {
    file: Arc<Path>,
    reads: &'a Reads,
    found: Manifest,
}

impl Reader<'_> {
    fn object(&mut self, object: &Spanned<Node>) {
        if let Err(problem) = self.take(object) {
            let place = match problem.field() {
                Some(field) => node::locate(object, &field),
                None => object.referenced,
            };
            self.refuse(Place::at(&self.file, place), problem);
        }
    }

    fn take(&mut self, object: &Spanned<Node>) -> Result<(), Problem> {
        if !object.value.is_map() {
            return Err(Problem::NoManifest);
        }
        let version = object.value.text("apiVersion")?;
        match object.value.text("kind")? {
            "Pod" | "List" | "Namespace" | "ServiceAccount" if version != "v1" => {
                Err(Problem::Version(version.to_owned()))
            }
            "Pod" => self.pod(object),
            "List" => self.list(object),
            "Namespace" => self.namespace(object),
            "ServiceAccount" => self.service_account(object),
            other => {
                let place = Place::at(&self.file, object.referenced);
                tracing::debug!(%place, kind = other, "a manifest of another kind is left out");
                Ok(())
            }
        }
    }

    fn pod(&mut self, object: &Spanned<Node>) -> Result<(), Problem> {
        let mut pod: api::Pod = typed(without_containers(object.value.value()))?;
        if self.reads.node.is_none() && pod.metadata.uid.is_none() {
            pod.metadata.uid = Some(made_up_uid(self.found.pods.len(), &self.file));
        }
        let uid = node::locate(object, &Field::from(["metadata", "uid"]));
        let place = Place::at(&self.file, uid);
        if let Some(reason) = convert::skip(&pod, self.reads.node.as_deref()) {
            tracing::debug!(%place, %reason, "a pod is left out");
            return Ok(());
        }
        let pod = convert::pod(pod, &self.reads.keys)?;
        self.found.pods.push((pod, place));
        Ok(())
    }

    fn namespace(&mut self, object: &Spanned<Node>) -> Result<(), Problem> {
        let namespace: api::Namespace = typed(object.value.value())?;
        let name = convert::name(&namespace.metadata)?.name().to_owned();
        let namespace = convert::namespace(&namespace.metadata, &self.reads.keys);
        self.found.namespaces.push((name, namespace));
        Ok(())
    }

    fn service_account(&mut self, object: &Spanned<Node>) -> Result<(), Problem> {
        let account: api::ServiceAccount = typed(object.value.value())?;
        let name = convert::name(&account.metadata)?;
        let name = (name.namespace().to_owned(), name.name().to_owned());
        let account = convert::service_account_of(&account.metadata);
        self.found.service_accounts.push((name, account));
        Ok(())
    }

    fn list(&mut self, list: &Spanned<Node>) -> Result<(), Problem> {
        for item in list.value.elements("items")? {
            self.object(item);
        }
        Ok(())
    }

    fn unreadable(&mut self, error: serde_saphyr::Error) {
        let place = error.location().map_or_else(
            || Place::whole(&self.file),
            |location| Place::at(&self.file, location),
        );
        self.refuse(place, Problem::Yaml(Box::new(error)));
    }

    fn refuse(&mut self, place: Place, problem: Problem) {
        self.found.errors.push(Error { place, problem });
    }
}

/// Leaves of the containers of a pod their names: nobody asks for more, and what stands in their environment may be
/// secret, where an error would quote it.
fn without_containers(mut pod: Value) -> Value {
    if let Some(Value::Object(spec)) = pod.get_mut("spec") {
        for (_, containers) in spec.iter_mut().filter(|(key, _)| is_containers(key)) {
            *containers = names(containers);
        }
    }
    pod
}

/// A UID for a pod that was never applied: no other pod of these files has it.
fn made_up_uid(number: usize, file: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    (number, file).hash(&mut hasher);
    let [high, low] = [hasher.finish() >> 48, hasher.finish() & 0xffff_ffff_ffff];
    format!("00000000-0000-0000-{high:04x}-{low:012x}")
}

fn is_containers(key: &str) -> bool {
    CONTAINERS.contains(&key)
}

/// Those of `containers` that have a name, and nothing but that.
fn names(containers: &Value) -> Value {
    let all = containers.as_array().into_iter().flatten();
    let named = all.filter_map(|one| one.get("name")?.as_str());
    named.map(|name| json!({"name": name})).collect()
}

fn typed<T: DeserializeOwned>(object: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(object).map_err(|error| Problem::Type {
        field: error.path().into(),
        wrong: error.into_inner(),
    })
}

#[cfg(test)]
mod tests;
