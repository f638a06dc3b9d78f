//! Time as it is told: a library in every program adds what stands in a file to what the system's clocks say.
//!
//! So the programs are what they are, and hours pass in no time; all clocks jump at once.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use anyhow::{Context as _, Result};

/// Time for some programs. It goes on by itself as well, as fast as it does.
#[derive(Debug)]
pub(super) struct Time {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl Time {
    /// The present.
    pub(super) fn new(library: &Path, directory: &Path, name: &str) -> Result<Self> {
        let path = directory.join(format!("time-{}-{name}", process::id()));
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let time = Self {
            library: library.to_owned(),
            path,
            file,
        };
        time.set(Duration::ZERO)?;
        Ok(time)
    }

    /// What a program must be started with.
    pub(super) fn environment(&self) -> Vec<(OsString, OsString)> {
        vec![
            ("LD_PRELOAD".into(), self.library.clone().into()),
            ("TOLD_TIME_FILE".into(), self.path.clone().into()),
        ]
    }

    /// It is so much later than it is.
    pub(super) fn set(&self, later: Duration) -> Result<()> {
        let nanoseconds = u64::try_from(later.as_nanos())?;
        // The file is in the memory of programs, and must never be shorter.
        let written = self.file.write_all_at(&nanoseconds.to_ne_bytes(), 0);
        written.with_context(|| self.path.display().to_string())
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path)); // its directory is one for build output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_present_until_it_is_set_and_gone_with_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let time = Time::new(Path::new("/l"), dir.path(), "a").unwrap();
        let read = || fs::read(&time.path).unwrap();
        assert_eq!(read(), [0; 8]);
        time.set(Duration::from_hours(1)).unwrap();
        assert_eq!(read(), 3_600_000_000_000_u64.to_ne_bytes());
        drop(time);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
