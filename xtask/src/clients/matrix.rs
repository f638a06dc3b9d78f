//! The table of results: a line for each client, a cell for each [`Column`].
//!
//! A cell is good if everything that was tried for it was. Nothing tried is as bad as a failure, unless the client is
//! exempt for a reason; and what is exempt and fails all the same has failed.

use super::{client::Client, column::Column};

/// What the cells say.
const GOOD: &str = "ok";
const BAD: &str = "FAIL";
const EXEMPT: &str = "-";

/// How much of a failure is shown; all of it is in its row.
const SHOWN: usize = 160;

/// What was tried of each client.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    trials: Vec<Trial>,
}

#[derive(Debug)]
struct Trial {
    client: Client,
    column: Column,
    /// What was wrong.
    failure: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Cell {
    Good,
    Bad(String),
    Exempt(&'static str),
}

impl Matrix {
    /// Adds what came of one try.
    pub(super) fn add(&mut self, client: Client, column: Column, failure: Option<&str>) {
        self.trials.push(Trial {
            client,
            column,
            failure: failure.map(str::to_owned),
        });
    }

    /// How many cells are bad.
    pub(super) fn failures(&self) -> usize {
        let cells = Client::ALL.into_iter().flat_map(|client| self.row(client));
        cells
            .filter(|(_, cell)| matches!(cell, Cell::Bad(_)))
            .count()
    }

    /// The table, and below it why cells are not good.
    pub(super) fn lines(&self) -> Vec<String> {
        let head = Column::ALL.map(|column| format!("{:8}", column.name()));
        let mut lines = vec![format!("{:16} {}", "client", head.join(" "))];
        let mut notes = Vec::new();
        for client in Client::ALL {
            let row: Vec<_> = self.row(client).collect();
            let words: Vec<_> = row
                .iter()
                .map(|(_, cell)| format!("{:8}", cell.word()))
                .collect();
            lines.push(format!("{:16} {}", client.name(), words.join(" ")));
            notes.extend(row.iter().filter_map(|(column, cell)| {
                let why = cell.why()?;
                Some(format!(
                    "{} {}, {}: {why}",
                    cell.word(),
                    client.name(),
                    column.name()
                ))
            }));
        }
        lines.extend(notes);
        lines
            .into_iter()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    fn row(&self, client: Client) -> impl Iterator<Item = (Column, Cell)> {
        let cell = move |column| (column, self.cell(client, column));
        Column::ALL.into_iter().map(cell)
    }

    fn cell(&self, client: Client, column: Column) -> Cell {
        let of_cell = |trial: &&Trial| trial.client == client && trial.column == column;
        let mut trials = self.trials.iter().filter(of_cell).peekable();
        if trials.peek().is_none() {
            return match client.exempt(column) {
                Some(reason) => Cell::Exempt(reason),
                None => Cell::Bad("not tried".to_owned()),
            };
        }
        let failure = trials.find_map(|trial| trial.failure.as_deref());
        failure.map_or(Cell::Good, |failure| {
            let first = failure.lines().next().unwrap_or_default();
            Cell::Bad(first.chars().take(SHOWN).collect())
        })
    }
}

impl Cell {
    const fn word(&self) -> &'static str {
        match self {
            Self::Good => GOOD,
            Self::Bad(_) => BAD,
            Self::Exempt(_) => EXEMPT,
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Bad(failure) => Some(failure),
            Self::Exempt(reason) => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything good that is not exempt.
    fn good() -> Matrix {
        let mut matrix = Matrix::default();
        for client in Client::ALL {
            for column in Column::ALL {
                if client.exempt(column).is_none() {
                    matrix.add(client, column, None);
                }
            }
        }
        matrix
    }

    #[test]
    fn a_cell_is_bad_as_soon_as_one_try_failed() {
        let mut matrix = good();
        assert_eq!(matrix.failures(), 0);
        matrix.add(Client::Boto3, Column::Role, Some("is nobody\nmore"));
        matrix.add(Client::Boto3, Column::Role, None);
        assert_eq!(matrix.failures(), 1);
        let lines = matrix.lines();
        assert!(
            lines.contains(&"FAIL boto3, role: is nobody".to_owned()),
            "{lines:#?}"
        );
    }

    #[test]
    fn what_was_not_tried_is_bad_and_what_is_exempt_is_told_with_its_reason() {
        let matrix = Matrix::default();
        assert_eq!(
            matrix.cell(Client::Boto3, Column::Role),
            Cell::Bad("not tried".to_owned())
        );
        let exempt = matrix.cell(Client::CurlImdsV1, Column::Sequence);
        assert!(matches!(exempt, Cell::Exempt(_)), "{exempt:?}");
    }

    #[test]
    fn a_reason_does_not_hide_a_failure() {
        let mut matrix = Matrix::default();
        matrix.add(Client::CurlImdsV1, Column::Sequence, Some("x"));
        assert_eq!(
            matrix.cell(Client::CurlImdsV1, Column::Sequence),
            Cell::Bad("x".to_owned())
        );
    }

    #[test]
    fn every_client_has_a_line() {
        let lines = good().lines();
        for client in Client::ALL {
            let own = |line: &&String| line.starts_with(client.name()) && line.contains(GOOD);
            assert_eq!(lines.iter().filter(own).count(), 1, "{}", client.name());
        }
    }
}
