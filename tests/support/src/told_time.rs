//! Time as it is told: the library of `tests/told-time` in every program adds what stands in a file to what the system's
//! clocks say.
//!
//! So the programs are what they are, and hours pass in no time, or somebody sets the clock back.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// What is in the file: by how much all clocks are ahead, and by how much more the wall clock is.
const SIZE: usize = 16;
/// Where in it the second number is.
const WALL: u64 = 8;

/// Time for some programs. It goes on by itself as well, as fast as it does.
#[derive(Debug)]
pub struct ToldTime {
    library: PathBuf,
    path: PathBuf,
    file: File,
}

impl ToldTime {
    /// The present. `library` goes into the programs, `path` is where the file is made.
    pub fn new(library: &Path, path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let written = file.write_all_at(&[0; SIZE], 0);
        let time = Self {
            library: library.to_owned(),
            path: path.to_owned(),
            file,
        };
        written.with_context(|| path.display().to_string())?;
        Ok(time)
    }

    /// What a program must be started with.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        vec![
            ("LD_PRELOAD".into(), self.library.clone().into()),
            ("TOLD_TIME_FILE".into(), self.path.clone().into()),
        ]
    }

    /// It is so much later than it is: all clocks jump at once.
    pub fn set(&self, later: Duration) -> Result<()> {
        self.write(i64::try_from(later.as_nanos())?, 0)
    }

    /// Somebody has set the wall clock so many seconds ahead, or back if there are fewer than none.
    pub fn set_wall(&self, seconds: i32) -> Result<()> {
        self.write(i64::from(seconds) * 1_000_000_000, WALL)
    }

    /// The file is in the memory of programs, and must never be shorter.
    fn write(&self, nanoseconds: i64, at: u64) -> Result<()> {
        let written = self.file.write_all_at(&nanoseconds.to_ne_bytes(), at);
        written.with_context(|| self.path.display().to_string())
    }
}

impl Drop for ToldTime {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path)); // its directory is one for build output, or goes with its stage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_present_until_it_is_set_and_gone_with_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let time = ToldTime::new(Path::new("/l"), &dir.path().join("a")).unwrap();
        let read = || {
            let all = fs::read(&time.path).unwrap();
            let (later, wall) = all.split_at(8);
            [later, wall].map(|number| i64::from_ne_bytes(number.try_into().unwrap()))
        };
        assert_eq!(read(), [0, 0]);
        time.set(Duration::from_hours(1)).unwrap();
        time.set_wall(-60).unwrap();
        assert_eq!(read(), [3_600_000_000_000, -60_000_000_000]);
        drop(time);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
