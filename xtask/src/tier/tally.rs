//! Counts tests by what they say: the closing lines of Rust's test harness, and the tests' own remarks that they could
//! not do what they are there for. To the harness such a test has passed.

use std::{collections::BTreeSet, fmt};

/// What a test says that returns without having looked at anything.
const SKIPPED: &str = "SKIPPED: ";
/// What a test says that leaves out a part.
const NOT_TRIED: &str = "NOT TRIED: ";
/// What may be left out everywhere: many kernels do not have it.
const DISPENSABLE: [&str; 1] = ["sctp"];

/// How many tests passed, failed, and were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    /// How many of those that passed did nothing.
    idle: usize,
    not_tried: BTreeSet<String>,
}

impl Tally {
    /// Counts a line of standard output, if it is a closing line.
    pub(super) fn read_result(&mut self, line: &str) {
        if let Some([passed, failed, ignored]) = closing_line(line) {
            self.passed += passed;
            self.failed += failed;
            self.ignored += ignored;
        }
    }

    /// Counts a line of standard error, if it is a remark.
    pub(super) fn read_remark(&mut self, line: &str) {
        if line.starts_with(SKIPPED) {
            self.idle += 1;
        } else if let Some(what) = line.strip_prefix(NOT_TRIED) {
            self.not_tried.insert(what.to_owned());
        }
    }

    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.not_tried.extend(other.not_tried);
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
            idle: self.idle + other.idle,
            not_tried: self.not_tried,
        }
    }

    const fn passed(&self) -> usize {
        self.passed.saturating_sub(self.idle)
    }

    const fn skipped(&self) -> usize {
        self.ignored + self.idle
    }

    /// How many tests ran.
    pub(super) const fn ran(&self) -> usize {
        self.passed() + self.failed
    }

    /// How many tests there are, whether they ran or not.
    pub(super) const fn total(&self) -> usize {
        self.ran() + self.skipped()
    }

    /// What was left out, in words.
    pub(super) fn not_tried(&self) -> impl Iterator<Item = &str> {
        self.not_tried.iter().map(String::as_str)
    }

    /// Whether something was left out that a proper machine can do.
    pub(super) fn lacks(&self) -> bool {
        self.not_tried().any(|what| {
            let (name, _reason) = what.split_once(": ").unwrap_or((what, ""));
            !DISPENSABLE.contains(&name)
        })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (passed, failed, skipped) = (self.passed(), self.failed, self.skipped());
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// How many passed, failed and were ignored, by
/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s`, with or without
/// colours around the verdict.
fn closing_line(line: &str) -> Option<[usize; 3]> {
    let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(what))
            .and_then(|number| number.trim().parse().ok())
    };
    Some([count("passed")?, count("failed")?, count("ignored")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULTS: [&str; 7] = [
        "running 3 tests",
        "test a::b ... ok",
        "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
        "test result: \u{1b}[31mFAILED\u{1b}[0m. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.01s",
        "test result: nonsense",
        "test result: ok. x passed; 0 failed; 1 ignored",
        "",
    ];

    fn tally(remarks: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in RESULTS {
            tally.read_result(line);
        }
        for line in remarks {
            tally.read_remark(line);
        }
        tally
    }

    #[test]
    fn closing_lines_add_up_and_other_lines_do_not_count() {
        let tally = tally(&[]);
        assert_eq!((tally.ran(), tally.total()), (9, 10));
        assert_eq!(tally.to_string(), "5 passed, 4 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_did_nothing_is_skipped_and_not_passed() {
        let tally = tally(&[
            "   Compiling xtask",
            "SKIPPED: a needs root",
            "SKIPPED: b needs root",
            "c was SKIPPED: no remark",
        ]);
        assert_eq!((tally.ran(), tally.total()), (7, 10));
        assert_eq!(tally.to_string(), "3 passed, 4 failed, 3 skipped");
        let twice = tally.clone().plus(tally).to_string();
        assert_eq!(twice, "6 passed, 8 failed, 6 skipped");
    }

    #[test]
    fn what_was_not_tried_is_told_once_and_only_sctp_is_not_missed() {
        let sctp = "NOT TRIED: sctp: this kernel has no SCTP";
        let mptcp = "NOT TRIED: mptcp: this kernel has no MPTCP";
        for (remarks, told, lacks) in [
            (&[][..], &[][..], false),
            (&[sctp, sctp], &["sctp: this kernel has no SCTP"], false),
            (
                &[sctp, mptcp],
                &[
                    "mptcp: this kernel has no MPTCP",
                    "sctp: this kernel has no SCTP",
                ],
                true,
            ),
        ] {
            let tally = tally(remarks);
            assert_eq!(tally.not_tried().collect::<Vec<_>>(), told);
            assert_eq!(tally.lacks(), lacks, "{remarks:?}");
            assert_eq!(tally.to_string(), "5 passed, 4 failed, 1 skipped");
        }
    }
}
