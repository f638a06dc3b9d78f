//! Rows with their cells below each other.

/// Between two columns.
const GAP: usize = 2;

/// One line a row; each column is as wide as its widest cell.
pub(in super::super) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default() + GAP
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths);
        let line: String = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
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
