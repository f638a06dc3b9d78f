//! How long the decision itself takes, by a program of its own.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{cargo, cx::Cx, exec, say};

use super::figure::{Figure, Wanted};

/// What the program says. Times are in nanoseconds.
#[derive(Debug, Deserialize)]
struct Report {
    reference: f64,
    decisions: Vec<Decision>,
    first: Vec<Decision>,
}

#[derive(Debug, Deserialize)]
struct Decision {
    kind: String,
    took: f64,
}

/// Builds the program. It has the agent's library in it, with the same `object` so that nothing is built twice.
pub(super) fn build(cx: &Cx, object: Option<&Path>) -> Result<PathBuf> {
    say::step("build what measures decisions");
    let mut cargo = cargo::host(cx);
    cargo.args([
        "build",
        "--release",
        "--package=bpf2iam-bench",
        "--bench=decide",
    ]);
    if let Some(object) = object {
        cargo.env("BPF2IAM_EBPF_OBJECT", object);
    }
    cargo::binary(&mut cargo, "decide")
}

/// Runs it.
pub(super) fn measure(program: &Path) -> Result<Figure> {
    say::step("decisions about roles");
    let said = exec::capture(&mut Command::new(program))?;
    let report: Report = serde_json::from_str(&said).with_context(|| said.clone())?;
    for Decision { kind, took } in &report.decisions {
        say::note(format!(
            "{kind}: {took:.0} ns, {:.1} x",
            took / report.reference
        ));
    }
    for Decision { kind, took } in &report.first {
        say::note(format!(
            "the first with fifty {kind}: {:.0} us",
            took / 1000.0
        ));
    }
    let mut decisions = report.decisions.iter();
    let slowest = decisions
        .by_ref()
        .max_by(|one, other| one.took.total_cmp(&other.took))
        .context("nothing was decided")?;
    Ok(Figure {
        name: "a decision, of the slowest kind",
        value: slowest.took / 1000.0,
        unit: " us",
        wanted: Wanted::AtMost(2.0),
        detail: format!(
            "{}: {:.1} x of reading an ARN, {:.0} ns",
            slowest.kind,
            slowest.took / report.reference,
            report.reference
        ),
    })
}
