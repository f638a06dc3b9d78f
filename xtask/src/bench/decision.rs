//! How long the decision itself takes, by a program of its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::say;

use super::{
    figure::{Figure, Wanted},
    inside,
};

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

/// Runs it.
pub(super) fn measure(program: &Path) -> Result<Figure> {
    say::step("decisions about roles");
    let report: Report = inside::report(program)?;
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
