//! `cargo xtask chart`: the plain manifests, rendered from the Helm chart with its default values.
//!
//! They are checked in, so that nobody needs Helm to read or apply them, and so that a change of the chart shows what
//! it changes in a cluster. `cargo xtask lint` refuses others than these.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{cx::Cx, exec, helm::Helm, say};

/// The release, and its namespace. The documentation and `bpf2iam doctor` call them so.
const NAME: &str = "bpf2iam";
/// The templates in the order in which `kubectl apply` is to take what comes of them: it goes by the names of files.
const ORDER: [&str; 4] = ["namespace", "rbac", "web-identity", "daemonset"];
/// What each file begins with.
const HEADER: &str = "# Rendered from deploy/chart with its default values, by `cargo xtask chart`. What is to change is changed there.\n";
/// How Helm says where an object begins, and which template it comes from.
const SOURCE: &str = "---\n# Source: ";

/// The manifests: the name of each file and what is in it.
pub(crate) type Manifests = BTreeMap<String, String>;

/// Writes them, and removes what there is of others.
pub(crate) fn run(cx: &Cx) -> Result<()> {
    let rendered = render(cx, &Helm::ensure(cx)?)?;
    let directory = directory(cx);
    fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
    for name in read(cx)?
        .keys()
        .filter(|name| !rendered.contains_key(*name))
    {
        let path = directory.join(name);
        fs::remove_file(&path).with_context(|| path.display().to_string())?;
        say::note(format!("{} is removed", path.display()));
    }
    for (name, text) in &rendered {
        let path = directory.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        say::note(format!("{} is written", path.display()));
    }
    Ok(())
}

/// Where the chart is.
pub(crate) fn chart(cx: &Cx) -> PathBuf {
    cx.root.join("deploy/chart")
}

/// Where the manifests are.
fn directory(cx: &Cx) -> PathBuf {
    cx.root.join("deploy/manifests")
}

/// What the chart gives now.
pub(crate) fn render(cx: &Cx, helm: &Helm) -> Result<Manifests> {
    let mut template = helm.command("template");
    template.arg(NAME).arg(chart(cx));
    template.args(["--namespace", NAME, "--set", "createNamespace=true"]);
    split(&exec::capture(&mut template)?)
}

/// What is checked in. There may be nothing yet.
pub(crate) fn read(cx: &Cx) -> Result<Manifests> {
    let directory = directory(cx);
    if !directory.exists() {
        return Ok(Manifests::new());
    }
    let mut manifests = Manifests::new();
    for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        manifests.insert(name_of(&path), text);
    }
    Ok(manifests)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// A file for each template, with its documents in Helm's order.
fn split(rendered: &str) -> Result<Manifests> {
    let mut documents = rendered.split(SOURCE);
    let before = documents.next().unwrap_or_default();
    ensure!(
        before.is_empty(),
        "Helm does not say where this comes from: {before}"
    );
    let mut manifests = Manifests::new();
    for document in documents {
        let (source, text) = document.split_once('\n').unwrap_or((document, ""));
        let file = manifests
            .entry(file(source)?)
            .or_insert_with(|| HEADER.to_owned());
        if *file != HEADER {
            file.push_str("---\n");
        }
        file.push_str(text.trim());
        file.push('\n');
    }
    Ok(manifests)
}

/// The file for what comes from a template.
fn file(source: &str) -> Result<String> {
    let name = name_of(Path::new(source));
    let template = name.trim_end_matches(".yaml");
    let Some(position) = ORDER.iter().position(|known| *known == template) else {
        bail!("{source} has no place in the order of manifests (xtask/src/chart.rs)");
    };
    Ok(format!("{position}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_one_template_is_one_file() {
        let rendered = "---\n# Source: bpf2iam/templates/namespace.yaml\nkind: Namespace\n\n\
                        ---\n# Source: bpf2iam/templates/rbac.yaml\n# Why.\nkind: ServiceAccount\n\n\
                        ---\n# Source: bpf2iam/templates/daemonset.yaml\nkind: DaemonSet\n\
                        ---\n# Source: bpf2iam/templates/rbac.yaml\nkind: Role\n";
        let manifests = split(rendered).expect("three templates");
        let expected = [
            ("0-namespace.yaml", "kind: Namespace\n"),
            (
                "1-rbac.yaml",
                "# Why.\nkind: ServiceAccount\n---\nkind: Role\n",
            ),
            ("3-daemonset.yaml", "kind: DaemonSet\n"),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), format!("{HEADER}{text}")));
        assert_eq!(manifests, Manifests::from(expected));
    }

    #[test]
    fn what_has_no_place_is_refused() {
        for (rendered, says) in [
            ("---\nkind: Role\n", "does not say where"),
            (
                "---\n# Source: bpf2iam/templates/job.yaml\nkind: Job\n",
                "no place in the order",
            ),
        ] {
            let error = split(rendered).expect_err(rendered).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
