//! Runs every check, whatever the earlier ones said, and lists at the end which failed.

use anyhow::{Error, Result, bail};

use crate::say;

/// The outcome of the checks so far.
#[derive(Default)]
pub(crate) struct Checks {
    passed: usize,
    failed: Vec<(&'static str, Error)>,
}

impl Checks {
    /// Runs one check now.
    pub(crate) fn check(&mut self, name: &'static str, run: impl FnOnce() -> Result<()>) {
        say::step(name);
        match run() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                say::error(&error);
                self.failed.push((name, error));
            }
        }
    }

    /// Says how it went; fails if any check did.
    pub(crate) fn finish(self) -> Result<()> {
        say::step("summary");
        for (name, error) in &self.failed {
            say::note(format!("FAILED {name}: {error:#}"));
        }
        let names: Vec<_> = self.failed.iter().map(|(name, _)| *name).collect();
        if !names.is_empty() {
            bail!(
                "{} of {} failed: {}",
                names.len(),
                self.passed + names.len(),
                names.join(", ")
            );
        }
        say::note(format!("all {} passed", self.passed));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_failure_does_not_keep_the_others_from_running() {
        let mut ran = Vec::new();
        let mut checks = Checks::default();
        checks.check("first", || Err(anyhow!("broken")));
        checks.check("second", || {
            ran.push("second");
            Ok(())
        });
        checks.check("third", || Err(anyhow!("broken too")));
        assert_eq!(ran, ["second"]);
        let error = checks.finish().expect_err("two checks failed");
        assert_eq!(error.to_string(), "2 of 3 failed: first, third");
    }

    #[test]
    fn no_failure_is_success() {
        let mut checks = Checks::default();
        checks.check("only", || Ok(()));
        assert!(checks.finish().is_ok());
    }
}
