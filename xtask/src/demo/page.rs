//! How the story looks, and whether it is true: claims are counted, and those that do not hold are listed at the end.
//!
//! A reader who goes away does not stop the story: the exit code still says how it went.

mod columns;
mod score;

use std::{
    env,
    fmt::Debug,
    io::{self, IsTerminal as _, Stdout, Write as _},
};

use anyhow::Result;
use rustix::termios::tcgetwinsize;

pub(super) use columns::columns;
use score::Score;

/// What all but titles begins with.
const INDENT: &str = "   ";
/// What stands for the rest of a line.
const CUT: &str = "...";

/// Whether a claim holds; if not, what was seen.
pub(super) type Verdict = Result<(), String>;

/// Holds if what was seen is what was wanted.
pub(super) fn same<T: PartialEq + Debug>(seen: &T, wanted: &T) -> Verdict {
    (seen == wanted)
        .then_some(())
        .ok_or_else(|| format!("seen: {seen:?}, expected: {wanted:?}"))
}

/// The story so far.
pub(super) struct Page {
    out: Stdout,
    colour: Colour,
    chapters: usize,
    score: Score,
}

/// Whether to write escape sequences.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    On,
    Off,
}

/// What a text is. The numbers are those of ECMA-48, "select graphic rendition".
#[derive(Clone, Copy)]
enum Tone {
    Title = 1,
    Faint = 2,
    Bad = 31,
    Good = 32,
    Command = 36,
}

impl Page {
    /// An empty one.
    pub(super) fn begin() -> Self {
        let out = io::stdout();
        Self {
            colour: Colour::of(&out),
            out,
            chapters: 0,
            score: Score::default(),
        }
    }

    /// The first line.
    pub(super) fn title(&self, text: &str) {
        self.put(&format!("\n{}\n", self.paint(text, Tone::Title)));
    }

    /// Begins the next chapter.
    pub(super) fn chapter(&mut self, text: &str) {
        self.chapters += 1;
        let heading = format!("{}  {text}", self.chapters);
        self.put(&format!("\n{}\n", self.paint(&heading, Tone::Title)));
    }

    /// Some lines of the story.
    pub(super) fn text(&self, text: &str) {
        for line in text.lines() {
            self.put(&format!("{INDENT}{line}"));
        }
    }

    /// What a command printed. Lines that the terminal is too narrow for are cut, for a table is no table any more
    /// when its lines wrap.
    pub(super) fn output(&self, text: &str) {
        let width = tcgetwinsize(&self.out).map_or(0, |size| usize::from(size.ws_col));
        for line in text.lines() {
            let line = format!("{INDENT}{line}").trim_end().to_owned();
            self.put(&if width == 0 { line } else { fit(line, width) });
        }
    }

    /// Room.
    pub(super) fn space(&self) {
        self.put("");
    }

    /// A command as one would type it.
    pub(super) fn command(&self, command: &str) {
        let command = self.paint(&format!("$ {command}"), Tone::Command);
        self.put(&format!("{INDENT}{command}"));
    }

    /// A table: the heading, then the rows.
    pub(super) fn table<const N: usize>(&self, heading: [&str; N], rows: &[[String; N]]) {
        let heading = heading.map(str::to_owned);
        let all: Vec<_> = [&heading].into_iter().chain(rows).cloned().collect();
        for (line, text) in columns(&all).into_iter().enumerate() {
            let text = match line {
                0 => self.paint(&text, Tone::Faint),
                _ => text,
            };
            self.put(&format!("{INDENT}{text}"));
        }
    }

    /// Says something, with whether it holds.
    pub(super) fn claim(&mut self, text: &str, verdict: Verdict) {
        match verdict {
            Ok(()) => {
                self.score.holds();
                self.put(&format!("{} {text}", self.paint("ok", Tone::Good)));
            }
            Err(seen) => {
                self.score.fails(text);
                let wrong = self.paint("NOT TRUE:", Tone::Bad);
                self.put(&format!("{wrong} {text}\n{INDENT}{seen}"));
            }
        }
    }

    /// The end; fails if a claim did not hold.
    pub(super) fn finish(&self) -> Result<()> {
        let all = self.score.total()?;
        let end = format!("All {all} claims (ok) were checked in this run, and hold.");
        self.put(&format!("\n{}", self.paint(&end, Tone::Title)));
        Ok(())
    }

    fn put(&self, line: &str) {
        let _reader_is_there = writeln!(&self.out, "{line}").is_ok();
    }

    fn paint(&self, text: &str, tone: Tone) -> String {
        match self.colour {
            Colour::On => format!("\x1b[{}m{text}\x1b[0m", tone as u8),
            Colour::Off => text.to_owned(),
        }
    }
}

impl Colour {
    /// Colours go to terminals only, and not to people who set `NO_COLOR` (<https://no-color.org>).
    fn of(out: &Stdout) -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if out.is_terminal() && !refused {
            Self::On
        } else {
            Self::Off
        }
    }
}

/// The line, and if it is wider than `width` only its beginning.
fn fit(line: String, width: usize) -> String {
    if line.chars().count() <= width {
        return line;
    }
    let beginning = line.chars().take(width.saturating_sub(CUT.len()));
    beginning.chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_is_cut() {
        for (width, fitting) in [(6, "abcdef"), (7, "abcdef"), (5, "ab..."), (0, "...")] {
            assert_eq!(fit("abcdef".to_owned(), width), fitting);
        }
    }

    #[test]
    fn a_verdict_says_what_was_seen() {
        assert_eq!(same(&2, &2), Ok(()));
        assert_eq!(same(&2, &3), Err("seen: 2, expected: 3".to_owned()));
    }
}
