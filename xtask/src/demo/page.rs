//! How the story looks, and whether it is true: claims are counted, and those that do not hold are listed at the end.
//!
//! A reader who goes away does not stop the story: the exit code still says how it went.

use std::{
    env,
    fmt::Debug,
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use anyhow::{Result, bail};

/// What all but titles begins with.
const INDENT: &str = "   ";
/// Between two columns.
const GAP: usize = 2;

/// Whether a claim holds; if not, what was seen.
pub(super) type Verdict = Result<(), String>;

/// Holds if what was seen is what was wanted.
pub(super) fn same<T: PartialEq + Debug>(seen: &T, wanted: &T) -> Verdict {
    that(seen == wanted, || {
        format!("seen was {seen:?}, and not {wanted:?}")
    })
}

/// Holds if a condition does; otherwise `seen` says what there was instead.
pub(super) fn that(condition: impl Into<Condition>, seen: impl FnOnce() -> String) -> Verdict {
    match condition.into() {
        Condition::Holds => Ok(()),
        Condition::Fails => Err(seen()),
    }
}
