//! Removes what nodes leave behind: a node's own at its end, and what the dead could not remove.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{cgroup, netns, privilege, run::Run, stage};

/// Removes the leftovers of processes that are dead, killing what still runs in their cgroups. What
/// belongs to a living process is left alone.
pub fn sweep() -> Result<()> {
    remove(|run| !run.creator_lives())
}

/// What there is now of this process's nodes: cgroups, namespaces and directories.
pub fn of_this_process() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for place in places()? {
        found.extend(ours(&place, Run::is_ours)?);
    }
    Ok(found)
}

/// Where nodes leave things. Cgroups first: a namespace lives as long as a process in it.
fn places() -> Result<[PathBuf; 3]> {
    Ok([
        cgroup::mount_point()?,
        netns::DIRECTORY.into(),
        stage::DIRECTORY.into(),
    ])
}

/// Removes what belongs to `run`.
pub(crate) fn remove_run(run: Run) -> Result<()> {
    remove(|candidate| candidate == run)
}

/// Says on standard error what went wrong where no error can be returned.
pub(crate) fn report(result: Result<()>) {
    if let Err(error) = result {
        privilege::say(format_args!("cleaning up: {error:#}"));
    }
}

fn remove(wanted: impl Fn(Run) -> bool) -> Result<()> {
    let [cgroups, namespaces, directories] = places()?;
    for path in ours(&cgroups, &wanted)? {
        cgroup::remove(&path)?;
    }
    for path in ours(&namespaces, &wanted)? {
        netns::remove(&path)?;
    }
    for path in ours(&directories, &wanted)? {
        remove_directory(&path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Somebody else may sweep at the same time, and be first.
fn remove_directory(path: &Path) -> io::Result<()> {
    stage::pinned::unmount(path)?;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// What in `directory` has a name of ours and is wanted.
fn ours(directory: &Path, wanted: impl Fn(Run) -> bool) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.with_context(|| directory.display().to_string())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| directory.display().to_string())?;
        let run = entry.file_name().to_str().and_then(Run::of);
        if run.is_some_and(&wanted) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_has_removed_already_is_removed() {
        let directory = std::env::temp_dir().join(format!("sweep-{}", std::process::id()));
        fs::create_dir_all(directory.join("pods")).unwrap();
        for _ in 0..2 {
            remove_directory(&directory).unwrap();
            assert!(!directory.exists());
        }
        assert!(remove_directory(Path::new("/proc/self/status")).is_err());
    }
}
