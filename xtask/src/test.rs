//! `cargo xtask test`: the tests, tier by tier.
//!
//! A tier that could not run is never silent: it is named in the summary, and in CI it is a failure. So is what a test
//! could not try. A tier in which no test ran has failed too, unless a filter asked for others.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal as _},
    process::{Command, ExitStatus},
    time::{Duration, Instant},
};

use anyhow::{Error, Result, ensure};

use crate::{
    build::{self, Built},
    cargo,
    cx::Cx,
    exec, install,
    profile::Profile,
    programs, say,
};

mod tally;

use tally::Tally;

/// What the kernel tier sets up its node with, and looks at it with.
const KERNEL_NEEDS: [install::Package; 4] = [
    install::BPFTOOL,
    install::CURL,
    install::IPROUTE2,
    install::NFTABLES,
];

const NOT_ROOT: &str = "only root can: sudo -E env \"PATH=$PATH\" cargo xtask test";

/// Which tests to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

/// A set of packages whose tests need the same from the machine.
struct Tier {
    name: &'static str,
    packages: &'static str,
}

const UNIT: Tier = Tier {
    name: "unit",
    packages: "--workspace --exclude=bpf2iam-it --exclude=bpf2iam-kernel",
};
const IT: Tier = Tier {
    name: "it",
    packages: "--package=bpf2iam-it",
};
const KERNEL: Tier = Tier {
    name: "kernel",
    packages: "--package=bpf2iam-kernel",
};

/// Whose machine this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    Ci,
    Developer,
}

/// How a tier went.
enum Outcome {
    Ran {
        tally: Tally,
        took: Duration,
        result: Result<()>,
    },
    Failed(Error),
    Skipped(&'static str),
}

/// Runs every tier, whatever the earlier ones said.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    let built = rustix::process::geteuid()
        .is_root()
        .then(|| prepare_kernel(cx).inspect_err(say::error));
    let ready = built.as_ref().and_then(|built| built.as_ref().ok());
    let mut outcomes = vec![
        (UNIT.name, tests(cx, &UNIT, args, ready)),
        (IT.name, tests(cx, &IT, args, ready)),
    ];
    let kernel = match built {
        Some(Ok(built)) => tests(cx, &KERNEL, args, Some(&built)),
        Some(Err(error)) => Outcome::Failed(error),
        None => Outcome::Skipped(NOT_ROOT),
    };
    outcomes.push((KERNEL.name, kernel));
    summary(&outcomes)?;
    let matched = outcomes
        .iter()
        .any(|(_, outcome)| outcome.tally().total() > 0);
    ensure!(
        matched,
        "no test has a name with any of: {}",
        args.filter.join(" ")
    );
    Ok(())
}

/// Gets what the kernel tier needs. This comes before every tier, so that all of them build the agent with the same
/// object, and build it once.
fn prepare_kernel(cx: &Cx) -> Result<Built> {
    install::debian(cx, &KERNEL_NEEDS)?;
    let built = build::all(cx, Profile::Dev)?;
    programs::around(built.agent.clone(), cx, Profile::Dev, &[])?;
    Ok(built)
}

fn tests(cx: &Cx, tier: &Tier, args: &Args, built: Option<&Built>) -> Outcome {
    say::step(format!("tests: {}", tier.name));
    let mut cargo = cargo::host(cx);
    cargo
        .args(["test", "--no-fail-fast"])
        .args(tier.packages.split(' '))
        .arg("--")
        .args(&args.filter);
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
    let started = Instant::now();
    let (tally, status) = count(&mut cargo);
    let result = status
        .and_then(|status| exec::succeeded(&cargo, status))
        .and_then(|()| {
            ensure!(tally.ran() > 0 || !args.filter.is_empty(), "no test ran");
            Ok(())
        });
    Outcome::Ran {
        tally,
        took: started.elapsed(),
        result,
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

impl Outcome {
    fn tally(&self) -> Tally {
        match self {
            Self::Ran { tally, .. } => tally.clone(),
            Self::Failed(_) | Self::Skipped(_) => Tally::default(),
        }
    }

    /// Whether this makes the whole verb fail; a machine of CI must be able to run every tier, and all of it.
    fn is_bad(&self, machine: Machine) -> bool {
        match self {
            Self::Ran { result, tally, .. } => {
                result.is_err() || machine == Machine::Ci && tally.lacks()
            }
            Self::Failed(_) => true,
            Self::Skipped(_) => machine == Machine::Ci,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Ran {
                tally,
                took,
                result,
            } => {
                let verdict = result
                    .as_ref()
                    .err()
                    .map(|error| format!("  FAILED: {error:#}"))
                    .unwrap_or_default();
                format!("{tally} in {:.1} s{verdict}", took.as_secs_f64())
            }
            Self::Failed(error) => format!("FAILED: {error:#}"),
            Self::Skipped(reason) => format!("NOT RUN: {reason}"),
        }
    }
}

/// Prints how each tier went; fails if any did.
fn summary(outcomes: &[(&str, Outcome)]) -> Result<()> {
    say::step("tests: summary");
    for (name, outcome) in outcomes {
        say::line(format!("{name:8}{}", outcome.describe()));
        for what in outcome.tally().not_tried() {
            say::line(format!("{:8}NOT TRIED: {what}", ""));
        }
    }
    let total = outcomes
        .iter()
        .map(|(_, outcome)| outcome.tally())
        .fold(Tally::default(), Tally::plus);
    say::line(format!("total: {total}"));
    let machine = machine(env::var_os("CI").as_deref());
    let bad = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_bad(machine));
    let bad: Vec<_> = bad.map(|(name, _)| *name).collect();
    ensure!(bad.is_empty(), "failed: {}", bad.join(", "));
    Ok(())
}

/// By the variable that systems for continuous integration set.
fn machine(ci: Option<&OsStr>) -> Machine {
    if ci.is_some_and(|value| value == "true") {
        Machine::Ci
    } else {
        Machine::Developer
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn ran(result: Result<()>) -> Outcome {
        Outcome::Ran {
            tally: Tally::default(),
            took: Duration::from_millis(1500),
            result,
        }
    }

    fn ran_without(what: &str) -> Outcome {
        let mut tally = Tally::default();
        tally.read_remark(&format!("NOT TRIED: {what}: this kernel has none"));
        Outcome::Ran {
            tally,
            took: Duration::ZERO,
            result: Ok(()),
        }
    }

    #[test]
    fn only_ci_takes_a_skipped_tier_or_part_for_a_failure() {
        for (outcome, bad_here, bad_in_ci) in [
            (ran(Ok(())), false, false),
            (ran(Err(anyhow!("broken"))), true, true),
            (Outcome::Failed(anyhow!("no object")), true, true),
            (Outcome::Skipped(NOT_ROOT), false, true),
            (ran_without("mptcp"), false, true),
            (ran_without("sctp"), false, false),
        ] {
            assert_eq!(
                outcome.is_bad(Machine::Developer),
                bad_here,
                "{}",
                outcome.describe()
            );
            assert_eq!(
                outcome.is_bad(Machine::Ci),
                bad_in_ci,
                "{}",
                outcome.describe()
            );
        }
    }

    #[test]
    fn only_the_word_true_makes_it_ci() {
        for (ci, expected) in [
            (Some("true"), Machine::Ci),
            (Some("false"), Machine::Developer),
            (Some(""), Machine::Developer),
            (None, Machine::Developer),
        ] {
            assert!(machine(ci.map(OsStr::new)) == expected, "{ci:?}");
        }
    }

    #[test]
    fn the_summary_says_what_failed_and_what_did_not_run() {
        for (outcome, expected) in [
            (ran(Ok(())), "0 passed, 0 failed, 0 skipped in 1.5 s"),
            (
                ran(Err(anyhow!("broken"))),
                "0 passed, 0 failed, 0 skipped in 1.5 s  FAILED: broken",
            ),
            (Outcome::Failed(anyhow!("no object")), "FAILED: no object"),
            (Outcome::Skipped("only root can"), "NOT RUN: only root can"),
        ] {
            assert_eq!(outcome.describe(), expected);
        }
    }
}
