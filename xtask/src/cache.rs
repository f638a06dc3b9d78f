//! The tool cache: what is made once and outlives a clone.
//!
//! An entry is there whole or not at all: it is made beside its place and then renamed. Only one process makes an
//! entry at a time.

use std::{
    ffi::OsStr,
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use sha2::{Digest as _, Sha256};

use crate::{cargo, cx::Cx, exec, say};

/// A program that `cargo install` builds from its sources.
pub(crate) struct Tool {
    /// The package and the program.
    pub(crate) name: &'static str,
    /// The exact version.
    pub(crate) version: &'static str,
    /// What else tells one build from another; may be empty.
    pub(crate) flavour: &'static str,
    /// What else `cargo install` is told.
    pub(crate) args: &'static [&'static str],
}

impl Tool {
    /// Whether the program is there and its libraries are too.
    pub(crate) fn works(&self, cx: &Cx) -> bool {
        self.works_in(&cx.cache.join(self.id()))
    }

    /// Returns the program, and builds it first where it is missing.
    pub(crate) fn ensure(&self, cx: &Cx, env: &[(&str, &OsStr)]) -> Result<PathBuf> {
        let made = entry(
            cx,
            &self.id(),
            |dir| self.works_in(dir),
            |dir| self.install(cx, dir, env),
        );
        Ok(self.program(
            &made.with_context(|| format!("cannot install {} {}", self.name, self.version))?,
        ))
    }

    fn id(&self) -> String {
        let parts = [self.name, self.version, self.flavour];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-")
    }

    fn program(&self, dir: &Path) -> PathBuf {
        dir.join("bin").join(self.name)
    }

    fn works_in(&self, dir: &Path) -> bool {
        exec::works(Command::new(self.program(dir)).arg("--version"))
    }

    fn install(&self, cx: &Cx, dir: &Path, env: &[(&str, &OsStr)]) -> Result<()> {
        let build = dir.join("build");
        let mut cargo = cargo::host(cx);
        cargo
            .args([
                "install",
                self.name,
                "--version",
                self.version,
                "--locked",
                "--quiet",
            ])
            .args(self.args);
        cargo.arg("--root").arg(dir).arg("--target-dir").arg(&build);
        exec::run(cargo.envs(env.iter().copied()))?;
        remove_dir(&build)
    }
}

/// The name of an entry that is made from these files: from others comes another entry.
pub(crate) fn id(name: &str, contents: &[Vec<u8>]) -> String {
    let hash = contents.iter().fold(Sha256::new(), Sha256::chain_update);
    let digits = hash.finalize().into_iter().take(8);
    let digits: Vec<_> = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{}", digits.concat())
}

/// Returns a directory of the cache, and has it made first where it does not work.
///
/// `make` is given an empty directory of another name, so what it writes must not depend on its own path.
pub(crate) fn entry(
    cx: &Cx,
    id: &str,
    works: impl Fn(&Path) -> bool,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let place = cx.cache.join(id);
    if works(&place) {
        return Ok(place);
    }
    let lock = lock(cx, id)?;
    fcntl_setfd(&lock, FdFlags::empty())?; // what we start holds it too, should we be killed
    if works(&place) {
        return Ok(place); // another process has made it meanwhile
    }
    say::step(format!("make {id} for the tool cache"));
    let partial = cx.cache.join(format!("{id}.partial"));
    remove_dir(&partial)?; // a killed process left it
    fs::create_dir(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    make(&partial)?;
    ensure!(
        works(&partial),
        "{} was made but does not work",
        partial.display()
    );
    remove_dir(&place)?;
    fs::rename(&partial, &place).with_context(|| format!("cannot create {}", place.display()))?;
    Ok(place)
}

/// Holds a lock until the file is dropped or the process ends, however it ends.
pub(crate) fn lock(cx: &Cx, name: &str) -> Result<File> {
    let path = cx.cache.join(format!("{name}.lock"));
    fs::create_dir_all(&cx.cache)
        .with_context(|| format!("cannot create {}", cx.cache.display()))?;
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => say::note(format!(
            "waiting for another xtask that holds {}",
            path.display()
        )),
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.lock()
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Removes a directory that may not exist.
fn remove_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
        time::Duration,
    };

    use anyhow::bail;
    use tempfile::TempDir;

    use super::*;
    use crate::cx::Install;

    fn scratch() -> (TempDir, Cx) {
        let dir = TempDir::new().expect("a scratch directory");
        let cx = Cx {
            root: dir.path().into(),
            cache: dir.path().join("cache"),
            install: Install::Forbidden,
        };
        (dir, cx)
    }

    fn has_file(dir: &Path) -> bool {
        dir.join("file").is_file()
    }

    fn write_file(dir: &Path) -> Result<()> {
        Ok(fs::write(dir.join("file"), "")?)
    }

    #[test]
    fn an_entry_is_named_after_what_it_is_made_from() {
        let text = |text: &str| text.as_bytes().to_vec();
        assert!(id("tool", &[]).starts_with("tool-e3b0c44298fc1c14"));
        assert_eq!(id("tool", &[text("a")]), id("tool", &[text("a")]));
        assert_ne!(id("tool", &[text("a")]), id("tool", &[text("b")]));
        let two = |second| id("tool", &[text("a"), text(second)]);
        assert_ne!(two("b"), two("c"));
    }

    #[test]
    fn an_entry_is_made_once() {
        let (_dir, cx) = scratch();
        let made = entry(&cx, "tool-1", has_file, write_file).expect("it can be made");
        assert_eq!(made, cx.cache.join("tool-1"));
        assert!(has_file(&made));
        assert!(entry(&cx, "tool-1", has_file, |_| bail!("made twice")).is_ok());
    }

    #[test]
    fn a_failure_leaves_nothing_that_looks_finished() {
        let (_dir, cx) = scratch();
        let killed = |dir: &Path| write_file(dir).and_then(|()| bail!("killed"));
        assert!(entry(&cx, "tool-1", has_file, killed).is_err());
        assert!(!cx.cache.join("tool-1").exists());
        assert!(
            entry(&cx, "tool-1", has_file, |dir| {
                assert!(!has_file(dir), "the half-made directory is not reused");
                write_file(dir)
            })
            .is_ok()
        );
    }

    #[test]
    fn what_was_made_but_does_not_work_is_refused() {
        let (_dir, cx) = scratch();
        assert!(entry(&cx, "tool-1", has_file, |_| Ok(())).is_err());
        assert!(!cx.cache.join("tool-1").exists());
    }

    #[test]
    fn an_entry_that_no_longer_works_is_replaced() {
        let (_dir, cx) = scratch();
        fs::create_dir_all(cx.cache.join("tool-1/old")).expect("the cache is writable");
        let made = entry(&cx, "tool-1", has_file, write_file).expect("it can be made");
        assert!(has_file(&made) && !made.join("old").exists());
    }

    #[test]
    fn two_at_once_make_it_once() {
        let (_dir, cx) = scratch();
        let made = AtomicU32::new(0);
        let slowly = |dir: &Path| {
            made.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            write_file(dir)
        };
        thread::scope(|scope| {
            let both = [(); 2].map(|()| scope.spawn(|| entry(&cx, "tool-1", has_file, slowly)));
            for thread in both {
                assert!(thread.join().expect("no panic").is_ok());
            }
        });
        assert_eq!(made.into_inner(), 1);
    }
}
