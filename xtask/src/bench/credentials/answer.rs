//! A warm answer within the agent: memory that is asked for, and time, by a program of its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::{
    bench::{
        figure::{Figure, Wanted},
        inside,
    },
    say,
};

/// What the program says.
#[derive(Debug, Deserialize)]
struct Report {
    /// An answer that says the same, and that nobody had to find.
    reference: Cost,
    answers: Vec<Answer>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    kind: String,
    /// Without a log.
    silent: Cost,
    /// With the record of each request in the log.
    logged: Cost,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Cost {
    allocations: u32,
    nanoseconds: f64,
}

impl Cost {
    fn rate(self) -> f64 {
        1e9 / self.nanoseconds
    }
}

/// Runs it.
pub(in crate::bench) fn measure(program: &Path) -> Result<[Figure; 3]> {
    say::step("warm answers within the agent");
    let Report { reference, answers } = inside::report(program)?;
    for answer in &answers {
        say::note(answer.to_string());
    }
    say::note(format!("the same answer, known beforehand: {reference}"));
    let of = |kind: &str| {
        let mut answers = answers.iter();
        let found = answers.find(|answer| answer.kind == kind);
        found.with_context(|| format!("nothing about {kind}"))
    };
    let (list, credentials) = (of("role list")?, of("credentials")?);
    Ok([
        list.allocations("warm role list: allocations", reference),
        credentials.allocations("warm credentials: allocations", reference),
        Figure {
            name: "warm credentials: time within the agent, by that of a known answer",
            value: credentials.logged.nanoseconds / reference.nanoseconds,
            unit: " x",
            wanted: Wanted::Nothing,
            detail: format!(
                "{:.0}/s on one CPU; {:.0}/s without a log",
                credentials.logged.rate(),
                credentials.silent.rate()
            ),
        },
    ])
}

impl Answer {
    fn allocations(&self, name: &'static str, reference: Cost) -> Figure {
        Figure {
            name,
            value: f64::from(self.logged.allocations),
            unit: "",
            wanted: Wanted::Nothing,
            detail: format!(
                "{} without a log, {} of a known answer",
                self.silent.allocations, reference.allocations
            ),
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kind,
            silent,
            logged,
        } = self;
        write!(f, "{kind}: {logged}; without a log {silent}")
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            allocations,
            nanoseconds,
        } = self;
        write!(f, "{allocations} allocations, {nanoseconds:.0} ns")
    }
}
