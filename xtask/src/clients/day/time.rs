//! Time as it is told: a library in every program adds to what the system's clocks say what stands in a file.
//!
//! So the programs are what they are, and hours pass in no time; all clocks jump at once.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{cx::Cx, install};

/// The library's package.
const PACKAGE: &str = "libfaketime";
/// Where libraries are, the library's directory below that of each architecture, and its name there.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Where the library leaves something for each program that was killed. It would refuse another one with the same
/// process id.
const SHARED_MEMORY: &str = "/dev/shm";
const REMAINS: [&str; 2] = ["faketime_shm_", "sem.faketime_sem_"];

/// Time for some programs. It goes on by itself as well, as fast as it does.
#[derive(Debug)]
pub(super) struct Time {
    library: PathBuf,
    file: PathBuf,
}

impl Time {
    /// The present.
    pub(super) fn new(library: &Path, directory: &Path, name: &str) -> Result<Self> {
        let time = Self {
            library: library.to_owned(),
            file: directory.join(format!("time-{}-{name}", process::id())),
        };
        time.set(Duration::ZERO)?;
        Ok(time)
    }

    /// What a program must be started with.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        let variables: [(&str, OsString); 4] = [
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("NO_FAKE_STAT", "1".into()),
        ];
        variables
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect()
    }

    /// It is so much later than it is.
    pub(super) fn set(&self, later: Duration) -> Result<()> {
        let partial = self.file.with_extension("partial");
        let write = || {
            fs::write(&partial, format!("+{}\n", later.as_secs()))?;
            fs::rename(&partial, &self.file)
        };
        write().with_context(|| self.file.display().to_string())
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.file)); // its directory is one for build output
    }
}

/// The library, installed first where it is missing.
pub(super) fn library(cx: &Cx) -> Result<PathBuf> {
    sweep()?;
    if let Some(library) = find()? {
        return Ok(library);
    }
    install::debian(cx, &[install::Package::missing(PACKAGE)])?;
    find()?.with_context(|| format!("{PACKAGE} has no {LIBRARY}"))
}

fn find() -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(LIBRARIES).context(LIBRARIES)? {
        let library = entry?.path().join(LIBRARY);
        if library.is_file() {
            return Ok(Some(library));
        }
    }
    Ok(None)
}

/// Removes what programs that are gone have left.
fn sweep() -> Result<()> {
    let Ok(entries) = fs::read_dir(SHARED_MEMORY) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        let owner = entry.file_name().to_str().and_then(owner);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            drop(fs::remove_file(entry.path())); // another run may have been faster
        }
    }
    Ok(())
}

/// The process that something with this name belongs to.
fn owner(name: &str) -> Option<u32> {
    let mut pids = REMAINS
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix));
    pids.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_leaves_names_its_process() {
        for (name, expected) in [
            ("faketime_shm_17", Some(17)),
            ("sem.faketime_sem_17", Some(17)),
            ("faketime_shm_", None),
            ("faketime_shm_17x", None),
            ("other_17", None),
        ] {
            assert_eq!(owner(name), expected, "{name}");
        }
    }

    #[test]
    fn a_time_is_the_present_until_it_is_set_and_gone_with_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let time = Time::new(Path::new("/l"), dir.path(), "a").unwrap();
        let read = || fs::read_to_string(&time.file).unwrap();
        assert_eq!(read(), "+0\n");
        time.set(Duration::from_hours(1)).unwrap();
        assert_eq!(read(), "+3600\n");
        drop(time);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
