//! Rules about how files are laid out, which no lint of the compiler knows.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::sources;
use crate::{cargo, cx::Cx};

/// Every member takes the workspace's lints, and no module is a `mod.rs`.
pub(super) fn check(cx: &Cx) -> Result<()> {
    let mut faults = Vec::new();
    for manifest in cargo::members(cx)? {
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        if !takes_lints(&text) {
            let manifest = manifest.strip_prefix(&cx.root).unwrap_or(&manifest);
            faults.push(format!(
                "{}: `[lints] workspace = true` is missing",
                manifest.display()
            ));
        }
    }
    for file in sources::all(cx)?.iter().filter(|file| is_mod_rs(file)) {
        faults.push(format!(
            "{}: name it after its directory, beside it",
            file.display()
        ));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    Ok(())
}

/// Whether a manifest takes the workspace's lints.
fn takes_lints(manifest: &str) -> bool {
    let mut lines = manifest
        .lines()
        .map(|line| line.split_whitespace().collect::<String>());
    let in_table = lines.by_ref().any(|line| line == "[lints]");
    in_table
        && lines
            .take_while(|line| !line.starts_with('['))
            .any(|line| line == "workspace=true")
}

fn is_mod_rs(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "mod.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lints_table_itself_takes_the_workspaces_lints() {
        for (manifest, expected) in [
            (
                "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n",
                true,
            ),
            ("[lints]\nworkspace=true\n[dependencies]\n", true),
            ("[package]\nname = \"a\"\n", false),
            ("[lints]\nworkspace = false\n", false),
            ("[lints]\n[dependencies]\nworkspace = true\n", false),
            ("[dependencies]\nworkspace = true\n[lints]\n", false),
            ("[lints.clippy]\nall = \"warn\"\n", false),
        ] {
            assert_eq!(takes_lints(manifest), expected, "{manifest}");
        }
    }

    #[test]
    fn a_module_file_is_told_by_its_whole_name() {
        assert!(is_mod_rs(Path::new("agent/src/creds/mod.rs")));
        assert!(!is_mod_rs(Path::new("agent/src/creds/mod_cgroup.rs")));
        assert!(!is_mod_rs(Path::new("agent/src/mod/creds.rs")));
    }
}
