//! Rows with their cells below each other.

use std::fmt::Write as _;

/// Between two columns.
const GAP: usize = 2;

/// One line a row; each column is as wide as its widest cell.
pub(in super::super) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default() + GAP
    };
    let widths: [usize; N] = std::array::from_fn(width);
    rows.iter().map(|row| line(row, widths)).collect()
}

fn line<const N: usize>(row: &[String; N], widths: [usize; N]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        write!(line, "{cell:width$}").expect("a string takes everything");
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_a_column_begin_at_the_same_place() {
        let rows = [["a", "bb", "c"], ["aaa", "", "c"], ["", "", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(columns(&rows), ["a    bb  c", "aaa      c", ""]);
        assert!(columns::<2>(&[]).is_empty());
    }
}
