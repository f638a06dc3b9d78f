//! What is wrong with a manifest, and where it stands.

use std::{fmt, io, path::Path, sync::Arc};

use serde_saphyr::{Location, MessageFormatter as _, UserMessageFormatter};

use crate::{
    id::PodRef,
    pods::{convert::Invalid, field::Field},
};

/// A manifest that does not count, or a whole file. What it prints is the whole story: there is no source
/// below it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub(in crate::pods) struct Error {
    /// Where it stands.
    pub(in crate::pods) place: Place,
    /// What is wrong.
    pub(in crate::pods) problem: Problem,
}

/// A place in a file: `pods/a.yaml:7:3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pods) struct Place {
    file: Arc<Path>,
    /// Line and column, counted from 1.
    at: Option<(u64, u64)>,
}

impl Place {
    /// The file, and nothing in particular in it.
    pub(in crate::pods) fn whole(file: &Arc<Path>) -> Self {
        Self {
            file: Arc::clone(file),
            at: None,
        }
    }

    /// Where the parser says that it is.
    pub(in crate::pods) fn at(file: &Arc<Path>, location: Location) -> Self {
        let known = location != Location::UNKNOWN;
        Self {
            file: Arc::clone(file),
            at: known.then(|| (location.line(), location.column())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.at {
            Some((line, column)) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub(in crate::pods) enum Problem {
    /// The file is there, and its content is not to be had.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is a directory, a pipe or the like.
    #[error("it is no regular file")]
    NoFile,
    /// It has more bytes than a manifest may have.
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    /// It is no text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is neither YAML nor JSON, or has more in it than we read.
    #[error("{}", UserMessageFormatter.format_message(.0))]
    Yaml(Box<serde_saphyr::Error>),
    /// It is YAML, and no object of Kubernetes.
    #[error("it is no manifest: apiVersion, kind and metadata are wanted")]
    NoManifest,
    /// The kind is known, and its version is not.
    #[error("apiVersion: {0:?} is not v1")]
    Version(String),
    /// A value is not of the type that the API gives it.
    #[error("{field}: {wrong}")]
    Type {
        /// The value.
        field: Field,
        /// What it is, and what it should be.
        wrong: serde_json::Error,
    },
    /// It is no pod that the API server would store.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Two pods cannot have one cgroup, and nobody can tell whose it is.
    #[error("metadata.uid: {pod} has the UID of {other} ({place}), and neither counts")]
    SameUid {
        /// The pod that stands here.
        pod: Box<PodRef>,
        /// The one with the same UID.
        other: Box<PodRef>,
        /// Where the other stands.
        place: Place,
    },
}

impl Problem {
    /// The field that is wrong, where it is one.
    pub(in crate::pods) fn field(&self) -> Option<Field> {
        match self {
            Self::Version(_) => Some(Field::from(["apiVersion"])),
            Self::Type { field, .. } | Self::Invalid(Invalid { field, .. }) => Some(field.clone()),
            Self::Unreadable(_)
            | Self::NoFile
            | Self::TooLarge(_)
            | Self::NotUtf8
            | Self::Yaml(_)
            | Self::NoManifest
            | Self::SameUid { .. } => None,
        }
    }
}
