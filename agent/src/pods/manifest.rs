//! One file of manifests: YAML or JSON, one document or several, `List`s included.
//!
//! Each document counts or is refused for itself, and each refusal names file, line, column and field.
//! Nothing is kept of what the file said before: a pod whose manifest is wrong now is not known. Pods of
//! other nodes and finished ones are left out. Namespaces and ServiceAccounts count for their annotations; other kinds
//! are none of our business.

mod error;
mod node;

use std::{io::Cursor, path::Path, sync::Arc};

use k8s_openapi::api::core::v1 as api;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Namespace, Pod, ServiceAccount, annotation::Keys, convert, field::Field};
use node::Node;

pub(super) use error::{Error, Place, Problem};

/// Aliases may make a document longer by so many values. Manifests hardly ever have any; with the parser's
/// own limit a file of one megabyte could keep us busy for minutes.
const MAX_REPLAYED: usize = 10_000;

/// A document has at most this many values. One megabyte of real pods has a tenth of it, ...
const MAX_VALUES: usize = 100_000;

/// ... and at most this many bytes in them: twice what a file may have.
const MAX_BYTES: usize = 2 << 20;

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
    /// The node whose pods count; those of any node if there is none.
    pub(super) node: Option<String>,
    /// What the annotations are called.
    pub(super) keys: Keys,
}

/// Reads `text`, which is what stands in `file`.
pub(super) fn parse(file: &Path, text: &str, reads: &Reads) -> Manifest {
    let mut reader = Reader {
        file: file.into(),
        reads,
        found: Manifest::default(),
    };
    let mut text = Cursor::new(text);
    let documents = serde_saphyr::read_with_options::<_, Spanned<Node>>(&mut text, options());
    for document in documents {
        match document {
            Ok(document) => reader.object(&document),
            Err(error) => reader.unreadable(error),
        }
    }
    reader.found
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: MAX_VALUES,
            max_total_scalar_bytes: MAX_BYTES,
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
        let pod: api::Pod = typed(without_containers(object.value.value()))?;
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
        let namespace = convert::namespace(namespace.metadata, &self.reads.keys)?;
        self.found.namespaces.push((name, namespace));
        Ok(())
    }

    fn service_account(&mut self, object: &Spanned<Node>) -> Result<(), Problem> {
        let account: api::ServiceAccount = typed(object.value.value())?;
        let name = convert::name(&account.metadata)?;
        let name = (name.namespace().to_owned(), name.name().to_owned());
        let account = convert::service_account_of(account.metadata, &self.reads.keys)?;
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

/// Drops the containers of a pod: nobody asks for them, and what stands in their environment may be secret,
/// where an error would quote it.
fn without_containers(mut pod: Value) -> Value {
    if let Some(Value::Object(spec)) = pod.get_mut("spec") {
        spec.retain(|key, _| !CONTAINERS.contains(&key.as_str()));
    }
    pod
}

fn typed<T: DeserializeOwned>(object: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(object).map_err(|error| Problem::Type {
        field: error.path().into(),
        wrong: error.into_inner(),
    })
}

#[cfg(test)]
mod tests;
