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

use super::{Error, Id, Netns};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The namespaces, our own first.
    pub namespaces: Vec<Netns>,
    /// What should have been found, but for these errors.
    pub failed: Vec<Error>,
    seen: HashSet<Id>,
}

/// The namespaces that the files in `dir` stand for, those of the processes below the cgroup `kubepods`, and our own,
/// where pods on the node's network are.
pub fn find(dir: &Path, kubepods: &Path) -> Found {
    let mut found = Found::default();
    match Netns::own() {
        Ok(own) => found.add(own),
        Err(error) => found.failed.push(error),
    }
    match files(dir) {
        Ok(files) => files.iter().for_each(|file| found.take(file)),
        Err(source) => found.failed.push(Error::Find {
            path: dir.to_owned(),
            source,
        }),
    }
    for process in processes(kubepods) {
        found.take_from(&PathBuf::from(format!("/proc/{process}/ns/net")));
    }
    found
}

impl Found {
    fn add(&mut self, netns: Netns) {
        if self.seen.insert(netns.id) {
            self.namespaces.push(netns);
        }
    }

    fn take(&mut self, file: &Path) {
        match Netns::open(file) {
            Ok(netns) => netns.into_iter().for_each(|netns| self.add(netns)),
            Err(error) => self.failed.push(error),
        }
    }

    /// As [`take`](Self::take), of one of many processes, most of which share theirs. Some may not be looked at.
    fn take_from(&mut self, process: &Path) {
        if Id::at(process).is_ok_and(|id| !self.seen.contains(&id)) {
            self.take(process);
        }
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

    fn paths(found: &Found) -> Vec<&Path> {
        found.namespaces.iter().map(Netns::path).collect()
    }

    #[test]
    fn a_namespace_is_found_once_however_many_ways_lead_to_it() {
        let (_root, dir, kubepods) = places();
        symlink("/proc/self/ns/net", dir.join("same")).unwrap();
        let processes = format!("{}\n0\n", std::process::id());
        fs::write(kubepods.join("pod1/cgroup.procs"), processes).unwrap();
        let found = find(&dir, &kubepods);
        assert_eq!(paths(&found), [Path::new("/proc/self/ns/net")]);
        assert!(found.failed.is_empty(), "{found:?}");
    }

    #[test]
    fn files_and_processes_complete_each_other() {
        let (_root, dir, kubepods) = places();
        // Any two namespaces will do; nobody enters them.
        symlink("/proc/self/ns/uts", dir.join("by-file")).unwrap();
        fs::write(dir.join("none"), "").unwrap();
        let found = find(&dir, &kubepods);
        assert_eq!(
            paths(&found),
            [Path::new("/proc/self/ns/net"), &dir.join("by-file")]
        );
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
        assert_eq!((found.namespaces.len(), found.failed.len()), (1, 0));
        let found = find(Path::new("/proc/stat"), &kubepods);
        assert_eq!(found.namespaces.len(), 1);
        let error = found.failed[0].to_string();
        assert_eq!(error, "cannot look for network namespaces in /proc/stat");
    }
}
