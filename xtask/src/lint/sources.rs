//! Finds the source files of the project.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::cx::Cx;

/// Every `.rs` file, relative to the root, in order. Build output and hidden directories are left out.
pub(super) fn all(cx: &Cx) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(&cx.root, &mut files)?;
    let mut files: Vec<_> = files
        .iter()
        .filter_map(|file| Some(file.strip_prefix(&cx.root).ok()?.to_owned()))
        .collect();
    files.sort();
    Ok(files)
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !is_skipped(&path) {
            walk(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn is_skipped(dir: &Path) -> bool {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || dir.join("CACHEDIR.TAG").exists()
}
