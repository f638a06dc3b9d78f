//! The cgroup from which the trial is made.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time;

use crate::id::CgroupId;

/// What the names of all of them begin with. No pod's cgroup is called so.
const PREFIX: &str = "bpf2iam-trial-";

/// How often it is tried to remove one, and how long after the last attempt: a second in all.
const ATTEMPTS: u32 = 100;
const ATTEMPT: Duration = Duration::from_millis(10);

/// A cgroup that is removed when it is dropped.
#[derive(Debug)]
pub(super) struct Throwaway {
    path: PathBuf,
    id: CgroupId,
}

impl Throwaway {
    /// A new one below the cgroup at `parent`.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        let path = parent.join(format!("{PREFIX}{:016x}", rand::random::<u64>()));
        fs::create_dir(&path)?;
        let id = CgroupId::new(fs::metadata(&path)?.ino());
        Ok(Self { path, id })
    }

    pub(super) const fn id(&self) -> CgroupId {
        self.id
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it. The kernel may need a moment to see that the process in it has ended.
    pub(super) async fn remove(self) {
        for _ in 0..ATTEMPTS {
            if remove(&self.path).is_ok() {
                return;
            }
            time::sleep(ATTEMPT).await;
        }
    }
}

impl Drop for Throwaway {
    /// What cannot be removed now is with the next trial, or the uninstall.
    fn drop(&mut self) {
        remove_unused(&self.path);
    }
}

/// Removes the one at `path`. It is well if that is gone.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Removes the one at `path`, unless somebody uses it.
pub(super) fn remove_unused(path: impl AsRef<Path>) {
    let path = path.as_ref();
    if let Err(error) = remove(path) {
        tracing::debug!(%error, cgroup = %path.display(), "not removed");
    }
}

/// Those that there are below the cgroup at `parent`.
pub fn left(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
    });
    ours.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_when_it_is_dropped_and_so_do_those_that_were_left() {
        let parent = tempfile::tempdir().unwrap();
        let one = Throwaway::make(parent.path()).unwrap();
        assert_eq!(left(parent.path()), [one.path()]);
        drop(one);
        assert!(left(parent.path()).is_empty());

        fs::create_dir(parent.path().join("pod1")).unwrap();
        let used = Throwaway::make(parent.path()).unwrap();
        fs::create_dir(used.path().join("as-if-a-process")).unwrap();
        let unused = Throwaway::make(parent.path()).unwrap();
        left(parent.path()).iter().for_each(remove_unused);
        assert!(remove(used.path()).is_err() && remove(unused.path()).is_ok());
        assert!(!unused.path().exists() && used.path().exists());
        assert!(parent.path().join("pod1").exists());
        fs::remove_dir(used.path().join("as-if-a-process")).unwrap();
    }
}
