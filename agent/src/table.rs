//! Columns of text that stand below each other.

use crate::terminal::Colour;

/// What stands in a row at one place. What it says came from outside in part: no control character
/// reaches the terminal.
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

/// What a text means, for those who see colours.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Plain,
    Heading,
    Good,
    Waiting,
    Bad,
}

impl Cell {
    pub(crate) fn new(text: &str, tone: Tone) -> Self {
        let text = text
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        Self { text, tone }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text.as_ref(), Tone::Plain)
    }
}

/// Prints `text` in its tone.
pub(crate) fn paint(text: &str, tone: Tone, colour: Colour) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Heading => "1",
        Tone::Good => "32",
        Tone::Waiting => "33",
        Tone::Bad => "31",
    };
    match colour {
        Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
        Colour::Off => text.to_owned(),
    }
}

/// Rows below a heading, each column as wide as it has to be, the last one as long as it likes.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: Vec<[Cell; N]>,
    colour: Colour,
) -> String {
    let heading = heading.map(|title| Cell::new(title, Tone::Heading));
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    rows.iter().map(|row| line(row, &widths, colour)).collect()
}

fn line(row: &[Cell], widths: &[usize], colour: Colour) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        line.push_str(&paint(&cell.text, cell.tone, colour));
        if at + 1 < row.len() {
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
    }
    line.push('\n');
    line
}
