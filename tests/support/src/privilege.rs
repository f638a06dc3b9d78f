//! What to do where a node cannot be made.

use std::{
    env, fmt,
    io::{self, Write as _},
};

use rustix::process::geteuid;

/// Whether the test `name` can run: it can as root. Without root it is skipped, and says so past the
/// test harness's capture.
///
/// # Panics
///
/// Without root when `CI` is `true`: there a skipped test is a failed one.
#[must_use]
pub fn root_or_skip(name: &str) -> bool {
    if geteuid().is_root() {
        return true;
    }
    let ci = env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{name} needs root, and in CI no test is skipped");
    say(format_args!("SKIPPED: {name} needs root"));
    false
}

/// Tells whoever runs the tests. What is printed by `eprintln` is captured, and lost when a test passes.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _closed = writeln!(io::stderr(), "{line}").err();
}

/// Says that a part of a test is left out, and why. `cargo xtask test` tells it again at its end; in CI it is a failure.
pub fn not_tried(what: &str, why: &str) {
    say(format_args!("NOT TRIED: {what}: {why}"));
}
