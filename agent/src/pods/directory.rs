//! All manifests of a directory, read once.
//!
//! What counts is every file `*.yaml`, `*.yml` or `*.json` that is not hidden, symbolic links followed: a
//! `ConfigMap`'s volume is full of them (`a.yaml -> ..data/a.yaml`). A file that vanishes while we read was
//! none. One that is wrong does not keep the others from counting.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::id::PodUid;

use super::{
    Pod, Subject,
    manifest::{self, Manifest, Place, Problem, Reads},
    surroundings::Surroundings,
};

/// A directory has at most this many manifests. A kubelet runs 110 pods unless told otherwise.
const MAX_FILES: usize = 4096;

/// Why there are no manifests at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is not there, is none, or is not ours to read.
    #[error("cannot read the directory of manifests {}", dir.display())]
    Read {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It looks like another directory than the one that was meant.
    #[error("more than {MAX_FILES} manifests in {}", .0.display())]
    TooMany(PathBuf),
    /// The system does not tell us what changes there.
    #[error("cannot watch the directory of manifests {}", dir.display())]
    Watch {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: notify::Error,
    },
}

impl Error {
    /// Whether the machine is at its limits. Then nothing is known of the directory, not even that it is gone.
    pub(super) fn is_exhaustion(&self) -> bool {
        matches!(self, Self::Read { source, .. } if is_exhaustion(source))
    }
}

/// What a directory says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The pods that count, with what is around them; no two have the same UID.
    pub(super) pods: Vec<Subject>,
    /// What is around pods, of these or of others.
    pub(super) around: Surroundings,
    /// What does not count.
    pub(super) errors: Vec<manifest::Error>,
}

/// Reads the manifests in `dir`.
pub(super) fn read(dir: &Path, reads: &Reads) -> Result<Reading, Error> {
    let mut all = Manifest::default();
    for file in files(dir)? {
        let mut one = match content(&file, reads.limits().file) {
            Ok(Some(text)) => manifest::parse(&file, &text, reads),
            Ok(None) => continue,
            Err(Problem::Unreadable(source)) if is_exhaustion(&source) => {
                let dir = dir.to_owned();
                return Err(Error::Read { dir, source });
            }
            Err(problem) => Manifest {
                errors: vec![about(&file, problem)],
                ..Manifest::default()
            },
        };
        all.pods.append(&mut one.pods);
        all.namespaces.append(&mut one.namespaces);
        all.service_accounts.append(&mut one.service_accounts);
        all.errors.append(&mut one.errors);
    }
    let around = surroundings(&mut all);
    Ok(without_doubles(all, around))
}

/// The files that count, in the order of their names.
fn files(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read {
        dir: dir.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if is_manifest(Path::new(&name)) {
            files.push(dir.join(name));
        }
        if files.len() > MAX_FILES {
            return Err(Error::TooMany(dir.to_owned()));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn is_exhaustion(error: &io::Error) -> bool {
    let limits = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EIO];
    error
        .raw_os_error()
        .is_some_and(|code| limits.contains(&code))
}

fn is_manifest(name: &Path) -> bool {
    let hidden = name.as_os_str().as_bytes().starts_with(b".");
    let extension = name.extension().map_or(&b""[..], |text| text.as_bytes());
    !hidden && matches!(extension, b"yaml" | b"yml" | b"json")
}

/// The text of `file`; nothing if there is no such file any more.
fn content(file: &Path, most: u64) -> Result<Option<String>, Problem> {
    let open = match open(file) {
        Ok(open) => open,
        // A link that leads nowhere is somebody's mistake.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !file.is_symlink() => {
            return Ok(None);
        }
        Err(error) => return Err(Problem::Unreadable(error)),
    };
    if !open.metadata().map_err(Problem::Unreadable)?.is_file() {
        return Err(Problem::NoFile);
    }
    let mut bytes = Vec::new();
    open.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(Problem::Unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(Problem::TooLarge(most));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_no_text| Problem::NotUtf8)
}

/// Opens `file` without waiting for a writer, if it is a pipe.
fn open(file: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)
}

fn about(file: &Path, problem: Problem) -> manifest::Error {
    manifest::Error {
        place: Place::whole(&Arc::from(file)),
        problem,
    }
}

/// What is around the pods. Of two manifests of one name the last counts, as if they were applied in their order.
fn surroundings(all: &mut Manifest) -> Surroundings {
    let mut around = Surroundings::default();
    for (name, namespace) in all.namespaces.drain(..) {
        around.put_namespace(&name, namespace);
    }
    for ((namespace, name), account) in all.service_accounts.drain(..) {
        around.put_service_account(&namespace, &name, account);
    }
    around
}

/// Takes out the pods that share their UID. It names one cgroup, and nobody can tell whose that is.
fn without_doubles(all: Manifest, around: Surroundings) -> Reading {
    let mut by_uid = BTreeMap::<PodUid, Vec<(Pod, Place)>>::new();
    for (pod, place) in all.pods {
        by_uid.entry(pod.uid).or_default().push((pod, place));
    }
    let mut reading = Reading {
        pods: Vec::new(),
        around,
        errors: all.errors,
    };
    for mut same in by_uid.into_values() {
        let (first, first_place) = same.remove(0);
        if same.is_empty() {
            let subject = reading.around.all_around(Arc::new(first));
            reading.pods.push(subject);
            continue;
        }
        let doubles = same.into_iter().map(|(pod, place)| manifest::Error {
            place,
            problem: Problem::SameUid {
                pod: Box::new(pod.name),
                other: Box::new(first.name.clone()),
                place: first_place.clone(),
            },
        });
        reading.errors.extend(doubles);
    }
    reading
}

#[cfg(test)]
mod tests;
