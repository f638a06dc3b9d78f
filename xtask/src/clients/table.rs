//! What each client saw, row by row as it happens, and the table of results at the end.

use anyhow::{Result, ensure};

use crate::say;

use super::{client::Client, column::Column, matrix::Matrix};

/// The rows so far.
#[derive(Default)]
pub(super) struct Table {
    passed: usize,
    failed: usize,
    matrix: Matrix,
}

impl Table {
    /// Prints a row: who it is about, the scene, the pod, and what was seen or what is wrong with it.
    pub(super) fn add(&mut self, [who, scene, pod]: [&str; 3], verdict: Result<String, String>) {
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
        say::line(format!("{who:15} {scene:13} {pod:9} {seen}"));
    }

    /// Prints a row about a client, and keeps what it means for the table at the end.
    pub(super) fn show(
        &mut self,
        client: Client,
        column: Column,
        [scene, pod]: [&str; 2],
        verdict: Result<String, String>,
    ) {
        let failure = verdict.as_ref().err();
        self.matrix.add(client, column, failure.map(String::as_str));
        self.add([client.name(), scene, pod], verdict);
    }

    pub(super) const fn has_failures(&self) -> bool {
        self.failed > 0
    }

    /// Prints the table and the closing line; fails if a row did, or if a cell is empty.
    pub(super) fn finish(self) -> Result<()> {
        let Self {
            passed,
            failed,
            matrix,
        } = self;
        say::line("");
        for line in matrix.lines() {
            say::line(line);
        }
        say::line(format!("clients: {passed} passed, {failed} failed"));
        ensure!(failed == 0, "{failed} clients are not who they should be");
        let bad = matrix.failures();
        ensure!(bad == 0, "{bad} cells of the table are not good");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Table {
        let mut table = Table::default();
        for client in Client::ALL {
            for column in Column::ALL {
                if client.exempt(column).is_none() {
                    table.show(client, column, ["scene", "pod"], Ok("arn".to_owned()));
                }
            }
        }
        table
    }

    #[test]
    fn one_failure_or_no_row_at_all_is_a_failure() {
        assert!(good().finish().is_ok());

        let mut bad = good();
        bad.add(["STS", "scene", ""], Err("nobody".to_owned()));
        assert!(bad.has_failures() && bad.finish().is_err());

        assert!(Table::default().finish().is_err());
    }

    #[test]
    fn a_failure_of_a_client_is_one_of_the_table() {
        let mut bad = good();
        let wrong = Err("nobody".to_owned());
        bad.show(Client::Boto3, Column::Role, ["scene", "pod"], wrong);
        assert_eq!(bad.matrix.failures(), 1);
        assert!(bad.has_failures());
    }
}
