//! How the story looks, and whether it is true: claims are counted, and those that do not hold are listed at the end.
//!
//! A reader who goes away does not stop the story: the exit code still says how it went.

mod columns;

use std::{
    env,
    fmt::Debug,
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use anyhow::{Result, bail};

pub(super) use columns::columns;

/// What all but titles begins with.
const INDENT: &str = "   ";

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
    colour: Colour,
    began: Instant,
    chapters: usize,
    holding: usize,
    broken: Vec<String>,
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
        Self {
            colour: Colour::of_stdout(),
            began: Instant::now(),
            chapters: 0,
            holding: 0,
            broken: Vec::new(),
        }
    }

    /// The first line.
    pub(super) fn title(&self, text: &str) {
        put(&format!("\n{}\n", self.paint(text, Tone::Title)));
    }

    /// Begins the next chapter.
    pub(super) fn chapter(&mut self, text: &str) {
        self.chapters += 1;
        let heading = format!("{}  {text}", self.chapters);
        put(&format!("\n{}\n", self.paint(&heading, Tone::Title)));
    }

    /// Some lines of the story.
    pub(super) fn text(&self, text: &str) {
        text.lines().for_each(|line| put(&format!("{INDENT}{line}")));
    }

    /// Room.
    pub(super) fn space(&self) {
        put("");
    }

    /// A command as one would type it.
    pub(super) fn command(&self, command: &str) {
        let command = self.paint(&format!("$ {command}"), Tone::Command);
        put(&format!("{INDENT}{command}"));
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
            put(&format!("{INDENT}{text}"));
        }
    }

    /// Says something, with whether it holds.
    pub(super) fn claim(&mut self, text: &str, verdict: Verdict) {
        match verdict {
            Ok(()) => {
                self.holding += 1;
                put(&format!("{} {text}", self.paint("ok", Tone::Good)));
            }
            Err(seen) => {
                let wrong = self.paint("NOT TRUE:", Tone::Bad);
                put(&format!("{wrong} {text}\n{INDENT}{seen}"));
                self.broken.push(text.to_owned());
            }
        }
    }

    /// The end; fails if a claim did not hold.
    pub(super) fn finish(self) -> Result<()> {
        let all = self.holding + self.broken.len();
        if !self.broken.is_empty() {
            bail!(
                "{} of {all} claims do not hold:\n  {}",
                self.broken.len(),
                self.broken.join("\n  ")
            );
        }
        let took = self.began.elapsed().as_secs_f64();
        let end = format!("All {all} claims were checked just now, and hold. It took {took:.1} s.");
        put(&format!("\n{}", self.paint(&end, Tone::Title)));
        Ok(())
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
    fn of_stdout() -> Self {
        let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if io::stdout().is_terminal() && !refused {
            Self::On
        } else {
            Self::Off
        }
    }
}

fn put(line: &str) {
    let _reader_is_there = writeln!(io::stdout(), "{line}").is_ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_true_if_all_of_it_is() {
        let mut page = Page::begin();
        page.claim("water is wet", Ok(()));
        assert!(page.finish().is_ok());
    }

    #[test]
    fn what_is_not_true_is_named_at_the_end() {
        let mut page = Page::begin();
        page.claim("water is wet", Ok(()));
        page.claim("two is three", same(&2, &3));
        page.claim("fire is cold", Err("it is hot".to_owned()));
        let error = page.finish().expect_err("two claims are false").to_string();
        assert_eq!(error, "2 of 3 claims do not hold:\n  two is three\n  fire is cold");
    }

    #[test]
    fn a_verdict_says_what_was_seen() {
        assert_eq!(same(&2, &2), Ok(()));
        assert_eq!(same(&2, &3), Err("seen: 2, expected: 3".to_owned()));
    }
}
