//! The table of what each client saw, row by row as it happens, and its closing line.

use anyhow::{Result, ensure};

use crate::say;

/// The rows so far.
#[derive(Default)]
pub(super) struct Table {
    passed: usize,
    failed: usize,
}

impl Table {
    /// Prints a row: client, transport, pod, and what was seen or what is wrong with it.
    pub(super) fn add(
        &mut self,
        [client, transport, pod]: [&str; 3],
        verdict: Result<String, String>,
    ) {
        let seen = match verdict {
            Ok(seen) => {
                self.passed += 1;
                seen
            }
            Err(wrong) => {
                self.failed += 1;
                format!("FAILED: {wrong}")
            }
        };
        say::line(format!("{client:13} {transport:13} {pod:8} {seen}"));
    }

    pub(super) const fn has_failures(&self) -> bool {
        self.failed > 0
    }

    /// Prints the closing line; fails if a row did, or if there is none.
    pub(super) fn finish(self) -> Result<()> {
        let Self { passed, failed } = self;
        say::line(format!("clients: {passed} passed, {failed} failed"));
        ensure!(failed == 0, "{failed} clients are not who they should be");
        ensure!(passed > 0, "no client ran");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_or_no_row_at_all_is_a_failure() {
        let row = ["client", "IPv4", "pod"];
        let mut good = Table::default();
        good.add(row, Ok("arn".to_owned()));
        assert!(good.finish().is_ok());

        let mut bad = Table::default();
        bad.add(row, Ok("arn".to_owned()));
        bad.add(row, Err("nobody".to_owned()));
        assert!(bad.has_failures() && bad.finish().is_err());

        assert!(Table::default().finish().is_err());
    }
}
