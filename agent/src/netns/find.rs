//! Which network namespaces there are, as far as they are to be seen from here.
//!
//! There are two ways to see one: the file that the container runtime keeps for each pod, and the processes of the
//! pods. The files need only be mounted. The processes also show what a pod has made for itself, but only those of our own
//! PID namespace, and with `CAP_SYS_PTRACE`; others are passed over. A namespace is found once.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{Error, Id, Netns, OWN, open_error};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Where namespaces are, each once, our own first. None is open: there may be many.
    pub places: Vec<Place>,
    /// What should have been found, but for these errors.
    pub failed: Vec<Error>,
    seen: HashSet<Id>,
}

/// What leads to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// We are there.
    Own,
    /// A file, which may be gone when it is opened, or may have been no namespace's from the first.
    File(PathBuf),
}

impl Place {
    /// The namespace there, if there is one.
    pub fn open(&self) -> Result<Option<Netns>, Error> {
        match self {
            Self::Own => Ok(Some(Netns::own())),
            Self::File(path) => Netns::open(path),
        }
    }
}

/// The namespaces that the files in `dir` stand for, those of the processes below the cgroup `kubepods`, and our own,
/// where pods on the node's network are.
pub fn find(dir: &Path, kubepods: &Path) -> Found {
    let mut found = Found::default();
    found.take(Place::Own, Id::at(Path::new(OWN)));
    match files(dir) {
        Ok(files) => files.into_iter().for_each(|file| found.take_file(file)),
        Err(source) => found.failed.push(Error::Find {
            path: dir.to_owned(),
            source,
        }),
    }
    for process in processes(kubepods) {
        // Some may not be looked at, or have ended.
        let file = PathBuf::from(format!("/proc/{process}/ns/net"));
        if let Ok(id) = Id::at(&file) {
            found.take(Place::File(file), Ok(id));
        }
    }
    found
}

impl Found {
    fn take(&mut self, place: Place, id: rustix::io::Result<Id>) {
        match (id, place) {
            (Ok(id), place) => {
                if self.seen.insert(id) {
                    self.places.push(place);
                }
            }
            (Err(errno), Place::Own) => self.failed.push(open_error(OWN.into(), errno)),
            (Err(Errno::NOENT), Place::File(_)) => {}
            (Err(errno), Place::File(path)) => self.failed.push(open_error(path, errno)),
        }
    }

    fn take_file(&mut self, file: PathBuf) {
        let id = Id::at(&file);
        self.take(Place::File(file), id);
    }
}

/// The files in `dir`. A directory that is not there has none.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// The processes in the cgroup `top` and below it. What comes and goes meanwhile may be missed.
fn processes(top: &Path) -> Vec<u32> {
    let mut cgroups = vec![top.to_owned()];
    let mut processes = Vec::new();
    while let Some(cgroup) = cgroups.pop() {
        let listed = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        let numbers = listed.lines().filter_map(|line| line.parse::<u32>().ok());
        // 0 is a process that is not in our PID namespace.
        processes.extend(numbers.filter(|number| *number != 0));
        let below = fs::read_dir(&cgroup).into_iter().flatten().flatten();
        let below = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        cgroups.extend(below.map(|entry| entry.path()));
    }
    processes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory of namespaces, and a cgroup with one below it.
    fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let root = tempfile::tempdir().unwrap();
        let (dir, kubepods) = (root.path().join("netns"), root.path().join("kubepods"));
        fs::create_dir(&dir).unwrap();
        fs::create_dir_all(kubepods.join("pod1")).unwrap();
        (root, dir, kubepods)
    }

    fn file(path: impl Into<PathBuf>) -> Place {
        Place::File(path.into())
    }

    #[test]
    fn a_namespace_is_found_once_however_many_ways_lead_to_it() {
        let (_root, dir, kubepods) = places();
        symlink("/proc/self/ns/net", dir.join("same")).unwrap();
        let processes = format!("{}\n0\n", std::process::id());
        fs::write(kubepods.join("pod1/cgroup.procs"), processes).unwrap();
        let found = find(&dir, &kubepods);
        assert_eq!(found.places, [Place::Own]);
        assert!(found.failed.is_empty(), "{found:?}");
    }

    #[test]
    fn files_and_processes_complete_each_other() {
        let (_root, dir, kubepods) = places();
        // Any two namespaces will do; nobody enters them.
        symlink("/proc/self/ns/uts", dir.join("by-file")).unwrap();
        fs::write(dir.join("none"), "").unwrap();
        let found = find(&dir, &kubepods);
        let mut files = found.places[1..].to_vec();
        files.sort_by_key(|place| *place == file(dir.join("none")));
        let expected = [file(dir.join("by-file")), file(dir.join("none"))];
        assert_eq!((&found.places[0], &*files), (&Place::Own, &expected[..]));
        let is_one = |place: &Place| place.open().unwrap().is_some();
        assert_eq!(expected.each_ref().map(is_one), [true, false]);
        assert!(found.failed.is_empty(), "{found:?}");
    }

    #[test]
    fn processes_of_every_cgroup_below_are_found_but_no_hidden_ones() {
        let (_root, _dir, kubepods) = places();
        fs::create_dir(kubepods.join("pod1/app")).unwrap();
        for (cgroup, listed) in [
            ("", ""),
            ("pod1", "0\n0\n7\n"),
            ("pod1/app", "11\n0\n12\nx\n"),
        ] {
            fs::write(kubepods.join(cgroup).join("cgroup.procs"), listed).unwrap();
        }
        let mut found = processes(&kubepods);
        found.sort_unstable();
        assert_eq!(found, [7, 11, 12]);
        assert!(processes(&kubepods.join("none")).is_empty());
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_namespaces_and_one_that_is_none_is_named() {
        let (root, _, kubepods) = places();
        let found = find(&root.path().join("none"), &kubepods);
        assert_eq!((found.places.len(), found.failed.len()), (1, 0));
        let found = find(Path::new("/proc/stat"), &kubepods);
        assert_eq!(found.places, [Place::Own]);
        let error = found.failed[0].to_string();
        assert_eq!(error, "cannot look for network namespaces in /proc/stat");
    }
}
