//! A directory that is being filled, whose modes are as said: they do not depend on the caller's umask.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// What a directory has on the way to something else.
const OPEN: u32 = 0o755;

/// The directory.
pub(super) struct Tree(PathBuf);

impl Tree {
    /// One that is made with what is first put into it.
    pub(super) fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Copies the file that `from` is or leads to.
    pub(super) fn copy(&self, from: &Path, to: impl AsRef<Path>, mode: u32) -> Result<()> {
        let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(to, &bytes, mode)
    }

    /// Writes a file.
    pub(super) fn file(&self, path: impl AsRef<Path>, bytes: &[u8], mode: u32) -> Result<()> {
        let path = path.as_ref();
        self.directory(path.parent().unwrap_or(path), OPEN)?;
        let place = self.0.join(path);
        fs::write(&place, bytes).with_context(|| format!("cannot write {}", place.display()))?;
        self.mode(path, mode)
    }

    /// Makes a directory.
    pub(super) fn directory(&self, path: impl AsRef<Path>, mode: u32) -> Result<()> {
        let path = path.as_ref();
        let place = self.0.join(path);
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut above = path.ancestors().skip(1);
        above.try_for_each(|above| self.mode(above, OPEN))?;
        self.mode(path, mode)
    }

    fn mode(&self, path: &Path, mode: u32) -> Result<()> {
        let place = self.0.join(path);
        fs::set_permissions(&place, Permissions::from_mode(mode))
            .with_context(|| format!("cannot set the mode of {}", place.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_as_said_whatever_the_umask() {
        let dir = tempfile::TempDir::new().expect("a scratch directory");
        let tree = Tree::new(dir.path().join("root"));
        tree.file("a/b/c", b"text", 0o644).expect("it is writable");
        tree.directory("a/t", 0o1777).expect("it is writable");
        for (path, mode) in [
            ("", 0o755),
            ("a", 0o755),
            ("a/b", 0o755),
            ("a/b/c", 0o644),
            ("a/t", 0o1777),
        ] {
            let found = fs::metadata(tree.path().join(path)).expect("it is there");
            assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
        }
    }
}
