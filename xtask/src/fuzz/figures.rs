//! What libFuzzer says of a run.

use std::fmt;

/// How far a run came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    executions: u64,
    seconds: u64,
    /// Edges of the program's flow that were taken.
    edges: u64,
    /// How many inputs it takes to reach all that was reached, and how large they are together.
    corpus: String,
}

impl Figures {
    /// Reads a line of standard error, if it tells of the whole run: `#95 DONE cov: 7 ft: 9 corp: 3/12b ...` or
    /// `Done 95 runs in 2 second(s)`.
    pub(super) fn read(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        let after = |name| {
            let mut words = words.iter().skip_while(|word| **word != name);
            words.nth(1).copied().unwrap_or_default()
        };
        match words.as_slice() {
            [number, "DONE", ..] if number.starts_with('#') => {
                self.edges = after("cov:").parse().unwrap_or_default();
                after("corp:").clone_into(&mut self.corpus);
            }
            ["Done", executions, "runs", "in", seconds, ..] => {
                self.executions = executions.parse().unwrap_or_default();
                self.seconds = seconds.parse().unwrap_or_default();
            }
            _ => {}
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            executions,
            seconds,
            edges,
            corpus,
        } = self;
        let each = executions / seconds.max(&1);
        write!(
            f,
            "{executions} inputs in {seconds} s ({each} a second), {edges} edges reached, by {corpus} of input"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_about_the_whole_run_count() {
        let mut figures = Figures::default();
        for line in [
            "INFO: Seed: 1",
            "#2\tINITED cov: 5 ft: 5 corp: 1/1b exec/s: 0 rss: 27Mb",
            "#64\tNEW    cov: 6 ft: 7 corp: 2/4b lim: 4 exec/s: 0 rss: 27Mb L: 3/3 MS: 1 CopyPart-",
            "#95000\tDONE   cov: 7 ft: 9 corp: 3/12Kb lim: 4 exec/s: 47500 rss: 27Mb",
            "Done 95000 runs in 2 second(s)",
            "Done",
            "",
        ] {
            figures.read(line);
        }
        assert_eq!(
            figures.to_string(),
            "95000 inputs in 2 s (47500 a second), 7 edges reached, by 3/12Kb of input"
        );
    }

    #[test]
    fn a_run_that_says_nothing_has_no_figures() {
        let mut figures = Figures::default();
        figures.read("#x DONE cov: many corp:");
        assert_eq!(figures, Figures::default());
        figures.read("Done");
        assert_eq!(figures, Figures::default());
    }
}
