//! Removes the clusters of processes that are dead.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use bpf2iam_support::run::Run;

use super::scripts::{Scripts, work_directory};
use crate::{cx::Cx, say};

/// Takes down what a killed xtask has left. What belongs to a living process is left alone.
pub(super) fn sweep(cx: &Cx) -> Result<()> {
    for name in names(&work_directory(cx))? {
        if is_leftover(&name) {
            say::note(format!("remove the cluster {name}, whose creator is dead"));
            Scripts::new(cx, name, Path::new("").into()).down()?;
        }
    }
    Ok(())
}

fn is_leftover(name: &str) -> bool {
    Run::of(name).is_some_and(|run| !run.creator_lives())
}

/// The names in a directory that may not exist.
fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| directory.display().to_string())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| directory.display().to_string())?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_made_is_a_leftover() {
        let ours = Run::next().expect("this process runs").to_string();
        for (name, expected) in [
            (ours.as_str(), false),
            ("bpf2iam-1-18446744073709551615-0", true),
            ("bpf2iam-1", false),
            ("cluster-1", false),
        ] {
            assert_eq!(is_leftover(name), expected, "{name}");
        }
    }

    #[test]
    fn where_no_cluster_ever_was_there_is_none() {
        assert_eq!(
            names(Path::new("/no/such/directory")).ok(),
            Some(Vec::new())
        );
    }
}
