//! How tiers went, and whether that is good enough.

use std::{env, ffi::OsStr, time::Duration};

use anyhow::{Error, Result, ensure};

use super::tally::Tally;
use crate::say;

/// How a tier went.
pub(crate) enum Outcome {
    Ran {
        tally: Tally,
        took: Duration,
        result: Result<()>,
    },
    Failed(Error),
    Skipped(&'static str),
}

/// Whose machine this is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Machine {
    Ci,
    Developer,
}

impl Outcome {
    /// Whether tests failed, or could not be run.
    pub(crate) const fn is_failure(&self) -> bool {
        match self {
            Self::Ran { result, .. } => result.is_err(),
            Self::Failed(_) => true,
            Self::Skipped(_) => false,
        }
    }

    fn tally(&self) -> Tally {
        match self {
            Self::Ran { tally, .. } => tally.clone(),
            Self::Failed(_) | Self::Skipped(_) => Tally::default(),
        }
    }

    /// Whether this makes the whole verb fail; a machine of CI must be able to run every tier, and all of it.
    fn is_bad(&self, machine: Machine) -> bool {
        match self {
            Self::Ran { tally, .. } => self.is_failure() || machine == Machine::Ci && tally.lacks(),
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

/// Prints how each tier went; fails if any did, and if no test was found by the `filter`.
pub(crate) fn summary(outcomes: &[(&str, Outcome)], filter: &[String]) -> Result<()> {
    say::step("tests: summary");
    for (name, outcome) in outcomes {
        say::line(format!("{name:8}{}", outcome.describe()));
        for what in outcome.tally().not_tried() {
            say::line(format!("{:8}NOT TRIED: {what}", ""));
        }
    }
    let tallies = outcomes.iter().map(|(_, outcome)| outcome.tally());
    let total = tallies.fold(Tally::default(), Tally::plus);
    say::line(format!("total: {total}"));
    let machine = machine(env::var_os("CI").as_deref());
    let bad = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_bad(machine));
    let bad: Vec<_> = bad.map(|(name, _)| *name).collect();
    ensure!(bad.is_empty(), "failed: {}", bad.join(", "));
    ensure!(
        total.total() > 0,
        "no test has a name with any of: {}",
        filter.join(" ")
    );
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
            (Outcome::Skipped("only root can"), false, true),
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
