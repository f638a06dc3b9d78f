//! The Helm chart: its version, Helm's own judgement of it, the values that it takes and those that it refuses, and the
//! manifests that are checked in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    chart::{self, Manifests},
    cx::Cx,
    exec,
    helm::Helm,
};

/// Before the words of a refusal, in the first line of the values that are refused.
const SAYS: &str = "# refused: ";

/// All of it.
pub(super) fn check(cx: &Cx) -> Result<()> {
    let chart = chart::chart(cx);
    let text = chart.join("Chart.yaml");
    let text = fs::read_to_string(&text).with_context(|| text.display().to_string())?;
    has_version(&text, env!("CARGO_PKG_VERSION"))?;
    let helm = Helm::ensure(cx)?;
    takes(&helm, &chart, None)?;
    for values in files(&chart.join("ci"))? {
        takes(&helm, &chart, Some(&values))?;
    }
    for values in files(&chart.join("ci/refused"))? {
        refuses(&helm, &chart, &values)?;
    }
    let (kept, rendered) = (chart::read(cx)?, chart::render(cx, &helm)?);
    let stale = differences(&kept, &rendered);
    ensure!(
        stale.is_empty(),
        "deploy/manifests is not what the chart gives ({}); run `cargo xtask chart`",
        stale.join(", ")
    );
    Ok(())
}

/// Chart and agent are of one version.
fn has_version(chart: &str, version: &str) -> Result<()> {
    for key in ["version", "appVersion"] {
        let line = format!("{key}: {version}");
        ensure!(
            chart.lines().any(|other| other == line),
            "deploy/chart/Chart.yaml: `{line}` is missing, the version of the workspace"
        );
    }
    Ok(())
}

/// The files with values in a directory, in order.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<Result<_>>()?;
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    paths.sort();
    ensure!(!paths.is_empty(), "{}: no values", directory.display());
    Ok(paths)
}

/// With these values, or the default ones, the chart is good and can be rendered, twice alike.
fn takes(helm: &Helm, chart: &Path, values: Option<&Path>) -> Result<()> {
    let mut lint = helm.command("lint");
    lint.arg("--strict").arg(chart);
    if let Some(values) = values {
        lint.arg("--values").arg(values);
    }
    exec::capture(&mut lint)?;
    let once = template(helm, chart, values)?;
    ensure!(
        once == template(helm, chart, values)?,
        "{values:?}: rendered twice, the chart gives two things"
    );
    Ok(())
}

/// These values are refused, with the words in their first line.
fn refuses(helm: &Helm, chart: &Path, values: &Path) -> Result<()> {
    let text = fs::read_to_string(values).with_context(|| values.display().to_string())?;
    let words = text.lines().next().and_then(|line| line.strip_prefix(SAYS));
    let words = words.with_context(|| format!("{}: no {SAYS:?}", values.display()))?;
    match template(helm, chart, Some(values)) {
        Ok(_) => bail!("{} is not refused", values.display()),
        Err(error) => ensure!(
            format!("{error:#}").contains(words),
            "{} is refused without {words:?}: {error:#}",
            values.display()
        ),
    }
    Ok(())
}

fn template(helm: &Helm, chart: &Path, values: Option<&Path>) -> Result<String> {
    let mut template = helm.command("template");
    template
        .args(["release", "--namespace", "elsewhere"])
        .arg(chart);
    if let Some(values) = values {
        template.arg("--values").arg(values);
    }
    exec::capture(&mut template)
}

/// The names of files that are not in both, or not the same.
fn differences(kept: &Manifests, rendered: &Manifests) -> Vec<String> {
    let names = kept.keys().chain(rendered.keys());
    let mut names: Vec<_> = names
        .filter(|name| kept.get(*name) != rendered.get(*name))
        .cloned()
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_the_workspaces() {
        assert!(has_version("version: 1.2.3\nappVersion: 1.2.3\n", "1.2.3").is_ok());
        for wrong in [
            "version: 1.2.3\n",
            "appVersion: 1.2.3\n",
            "version: 1.2.3\nappVersion: 1.2.4\n",
            "version: 1.2.30\nappVersion: 1.2.3\n",
        ] {
            assert!(has_version(wrong, "1.2.3").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_differs_or_is_in_one_of_them_only_is_named() {
        let manifests = |files: &[(&str, &str)]| {
            let owned = files
                .iter()
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            owned.collect::<Manifests>()
        };
        let kept = manifests(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let rendered = manifests(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(differences(&kept, &rendered), ["b", "c", "d"]);
        assert!(differences(&kept, &kept).is_empty());
    }
}
