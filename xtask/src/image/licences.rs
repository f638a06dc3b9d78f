//! The terms of everything that is in the image, for its directory `usr/share`: most ask to go with the program.
//!
//! The agent's own, those of the crates that are linked into it, and those of the Debian packages whose files it comes with.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::tree::Tree;
use crate::{cargo, cx::Cx, exec};

/// The packages whose files are in it.
const PACKAGES: [&str; 3] = ["ca-certificates", "libc6", "libgcc-s1"];
/// What their terms refer to.
const COMMON: [&str; 3] = ["GPL-2", "GPL-3", "LGPL-2.1"];
/// How files with terms are called, in capitals.
const NAMES: [&str; 5] = ["COPYING", "COPYRIGHT", "LICENCE", "LICENSE", "NOTICE"];

/// Writes them all.
pub(super) fn write(cx: &Cx, image: &Tree) -> Result<()> {
    let ours = cx.root.join("LICENSE");
    image.copy(&ours, "usr/share/doc/bpf2iam/copyright", 0o644)?;
    let crates = crates(cx)?;
    image.file("usr/share/doc/bpf2iam/crates", crates.as_bytes(), 0o644)?;
    let packages = PACKAGES.map(|package| format!("usr/share/doc/{package}/copyright"));
    let common = COMMON.map(|name| format!("usr/share/common-licenses/{name}"));
    let mut debian = packages.iter().chain(&common);
    debian.try_for_each(|path| image.copy(&Path::new("/").join(path), path, 0o644))
}

/// A crate, as cargo describes it.
#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

/// The terms of all crates of others that are linked into the agent.
fn crates(cx: &Cx) -> Result<String> {
    let tree = "tree --package=bpf2iam --edges=normal,no-proc-macro --prefix=none --format={p}";
    let tree = exec::capture(cargo::host(cx).args(tree.split(' ')))?;
    let linked = of_others(&tree);
    let metadata = format!(
        "metadata --format-version=1 --filter-platform={}",
        host(cx)?
    );
    let metadata = exec::capture(cargo::host(cx).args(metadata.split(' ')))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for found in metadata.packages {
        let name = format!("{} {}", found.name, found.version);
        if !linked.contains(&name) {
            continue;
        }
        let licence = found.license.as_deref().unwrap_or("see below");
        for text in terms(&found.manifest_path)? {
            texts
                .entry(text)
                .or_default()
                .push(format!("{name}: {licence}"));
        }
    }
    Ok(listed(texts))
}

/// The machine that the agent is built for.
fn host(cx: &Cx) -> Result<String> {
    let said = exec::capture(cargo::in_workspace(cx, "rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say for which machine it compiles")?;
    Ok(host.to_owned())
}

/// Name and version of each crate in what `cargo tree` prints, but for those of this workspace, which have a path.
fn of_others(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().filter(|line| !line.contains("(/"));
    lines
        .filter_map(|line| {
            let (name, rest) = line.split_once(" v")?;
            let version = rest.split(' ').next()?;
            Some(format!("{name} {version}"))
        })
        .collect()
}

/// The texts that a crate comes with. Some come with none; what they are under is said in their own manifest.
fn terms(manifest: &Path) -> Result<Vec<String>> {
    let dir = manifest.parent().unwrap_or(manifest);
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut texts = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if entry.file_type()?.is_file() && NAMES.iter().any(|of| name.starts_with(of)) {
            let text =
                fs::read(entry.path()).with_context(|| entry.path().display().to_string())?;
            texts.push(String::from_utf8_lossy(&text).trim().to_owned());
        }
    }
    texts.push(String::new()); // so that each is named
    Ok(texts)
}

/// Each text once, below the crates that it is of.
fn listed(texts: BTreeMap<String, Vec<String>>) -> String {
    let rule = "-".repeat(80);
    let mut parts: Vec<_> = texts.into_iter().collect();
    for (_, names) in &mut parts {
        names.sort_unstable();
    }
    let parts = parts.into_iter();
    let parts = parts.map(|(text, names)| format!("{}\n\n{text}\n\n{rule}\n", names.join("\n")));
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_others_are_told_from_our_own() {
        let tree = "bpf2iam v0.1.0 (/project/agent)\nanyhow v1.0.104\nserde v1.0.229 (*)\n\n";
        let found: Vec<_> = of_others(tree).into_iter().collect();
        assert_eq!(found, ["anyhow 1.0.104", "serde 1.0.229"]);
    }

    #[test]
    fn a_text_is_there_once_with_all_whose_it_is() {
        let texts = [
            ("", vec!["b 1: MIT", "a 1: MIT"]),
            ("Do as you like.", vec!["b 1: MIT"]),
        ];
        let texts =
            texts.map(|(text, of)| (text.to_owned(), of.into_iter().map(String::from).collect()));
        let listed = listed(texts.into());
        assert!(listed.starts_with("a 1: MIT\nb 1: MIT\n\n"), "{listed}");
        assert_eq!(listed.matches("Do as you like.").count(), 1);
        assert_eq!(listed.matches("b 1: MIT").count(), 2);
    }

    #[test]
    fn what_a_crate_comes_with_is_found_by_its_name() {
        let dir = tempfile::TempDir::new().expect("a scratch directory");
        for name in [
            "LICENSE-MIT",
            "license.txt",
            "NOTICE",
            "lib.rs",
            "UNLICENSE",
        ] {
            fs::write(dir.path().join(name), name).expect("it is writable");
        }
        fs::create_dir(dir.path().join("LICENSES")).expect("it is writable");
        let mut found = terms(&dir.path().join("Cargo.toml")).expect("it is readable");
        found.sort_unstable();
        assert_eq!(found, ["", "LICENSE-MIT", "NOTICE", "license.txt"]);
    }
}
