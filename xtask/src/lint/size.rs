//! How long a file may be. A file is one idea, and a reader holds only so much in the head.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use super::sources;
use crate::cx::Cx;

/// The most lines of a file that are not tests.
const MAX_PRODUCTION: usize = 400;
/// The most lines of tests beside the code; longer ones go to a file `tests.rs` of their own.
const MAX_INLINE_TESTS: usize = 150;

/// The lines of a file, told apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Size {
    production: usize,
    inline_tests: usize,
}

/// Names every file that is too long.
pub(super) fn check(cx: &Cx) -> Result<()> {
    let mut faults = Vec::new();
    for file in sources::all(cx)?.iter().filter(|file| !is_test_file(file)) {
        let text = fs::read_to_string(cx.root.join(file))
            .with_context(|| format!("cannot read {}", file.display()))?;
        faults.extend(
            complaints(&measure(&text)).map(|complaint| format!("{}: {complaint}", file.display())),
        );
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    Ok(())
}

/// What is wrong with a file of this size.
fn complaints(size: &Size) -> impl Iterator<Item = String> + use<> {
    [
        ("production lines", size.production, MAX_PRODUCTION),
        ("lines of inline tests", size.inline_tests, MAX_INLINE_TESTS),
    ]
    .into_iter()
    .filter(|(_, lines, max)| lines > max)
    .map(|(what, lines, max)| format!("{lines} {what}, at most {max}"))
}

/// Whether a whole file is tests. The directory `tests` of the workspace holds packages, which have sources too.
fn is_test_file(file: &Path) -> bool {
    let mut below_root = file.components().skip(1);
    file.file_name().is_some_and(|name| name == "tests.rs")
        || below_root.any(|part| part.as_os_str() == "tests")
}

/// Counts the lines of a file that rustfmt has formatted: a module at the top level ends at the next `}` that starts
/// a line.
fn measure(text: &str) -> Size {
    let mut size = Size::default();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" || lines.peek() != Some(&"mod tests {") {
            size.production += 1;
            continue;
        }
        size.inline_tests += 1; // the attribute
        size.inline_tests += 1 + lines.by_ref().take_while(|line| *line != "}").count();
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_tests_are_no_production_lines() {
        let module = "#[cfg(test)]\nmod tests {\n    fn f() {\n    }\n}\n";
        for (text, production, inline_tests) in [
            ("", 0, 0),
            ("//! Doc.\n\nfn main() {\n}\n", 4, 0),
            (module, 0, 5),
            (&format!("fn a() {{\n}}\n\n{module}\nfn b() {{}}\n"), 5, 5),
            ("#[cfg(test)]\nmod tests;\n", 2, 0),
            ("#[cfg(test)]\nfn only_for_tests() {\n}\n", 3, 0),
            ("mod tests {\n}\n", 2, 0),
        ] {
            assert_eq!(
                measure(text),
                Size {
                    production,
                    inline_tests
                },
                "{text}"
            );
        }
    }

    #[test]
    fn a_file_is_too_long_only_above_the_limit() {
        for (production, inline_tests, expected) in [
            (400, 150, vec![]),
            (401, 0, vec!["401 production lines, at most 400"]),
            (0, 151, vec!["151 lines of inline tests, at most 150"]),
            (
                500,
                200,
                vec![
                    "500 production lines, at most 400",
                    "200 lines of inline tests, at most 150",
                ],
            ),
        ] {
            let found: Vec<_> = complaints(&Size {
                production,
                inline_tests,
            })
            .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn whole_files_of_tests_have_no_limit() {
        for (file, expected) in [
            ("agent/src/creds/tests.rs", true),
            ("agent/src/creds/sts/tests/server.rs", true),
            ("agent/tests/cli.rs", true),
            ("tests/kernel/tests/kernel/poison.rs", true),
            ("tests/kernel/src/foreign.rs", false),
            ("tests/support/src/stage.rs", false),
            ("agent/src/creds.rs", false),
            ("agent/src/contests.rs", false),
        ] {
            assert_eq!(is_test_file(Path::new(file)), expected, "{file}");
        }
    }
}
