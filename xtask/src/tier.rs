//! A tier of tests: packages whose tests need the same from the machine, run and counted.
//!
//! A tier that could not run is never silent: it is named in the summary, and in CI it is a failure. So is what a test
//! could not try. A tier in which no test ran has failed too, unless a filter asked for others.

use std::{
    ffi::OsStr,
    io::{self, IsTerminal as _},
    process::{Command, ExitStatus},
    time::Instant,
};

use anyhow::{Result, ensure};

use crate::{build::Built, cargo, cx::Cx, exec, say};

mod outcome;
mod tally;

pub(crate) use outcome::{Outcome, summary};
use tally::Tally;

/// A tier.
pub(crate) struct Tier {
    pub(crate) name: &'static str,
    /// What tells cargo which packages these are.
    pub(crate) packages: &'static str,
}

impl Tier {
    /// Runs the tests whose name contains one of `filter`, all if that is empty.
    pub(crate) fn run(&self, cx: &Cx, filter: &[String], built: Option<&Built>) -> Outcome {
        self.run_in::<&str>(cx, filter, built, &[])
    }

    /// As [`Tier::run`], with more variables in the tests' environment.
    pub(crate) fn run_in<S: AsRef<OsStr>>(
        &self,
        cx: &Cx,
        filter: &[String],
        built: Option<&Built>,
        environment: &[(S, S)],
    ) -> Outcome {
        say::step(format!("tests: {}", self.name));
        let mut cargo = self.cargo(cx, filter, built);
        cargo.envs(environment.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let (tally, status) = count(&mut cargo);
        let result = status
            .and_then(|status| exec::succeeded(&cargo, status))
            .and_then(|()| {
                ensure!(tally.ran() > 0 || !filter.is_empty(), "no test ran");
                Ok(())
            });
        Outcome::Ran {
            tally,
            took: started.elapsed(),
            result,
        }
    }

    fn cargo(&self, cx: &Cx, filter: &[String], built: Option<&Built>) -> Command {
        let mut cargo = cargo::host(cx);
        cargo
            .args(["test", "--no-fail-fast"])
            .args(self.packages.split(' '))
            .arg("--")
            .args(filter);
        // Our pipes hide the terminal.
        if io::stdout().is_terminal() {
            cargo.arg("--color=always");
        }
        if io::stderr().is_terminal() {
            cargo.env("CARGO_TERM_COLOR", "always");
        }
        if let Some(built) = built {
            cargo
                .env("BPF2IAM_EBPF_OBJECT", &built.object)
                .env("BPF2IAM_BIN", &built.agent);
        }
        cargo
    }
}

/// Runs the tests, shows what they print, and counts them by that.
fn count(cargo: &mut Command) -> (Tally, Result<ExitStatus>) {
    let (mut results, mut remarks) = (Tally::default(), Tally::default());
    let status = exec::lines_of_both(
        cargo,
        |line| {
            say::line(line);
            results.read_result(line);
        },
        |line| {
            say::note(line);
            remarks.read_remark(line);
        },
    );
    (results.plus(remarks), status)
}
