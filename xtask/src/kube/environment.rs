//! What `up.sh` says about the cluster: lines of `NAME=VALUE`, which a shell can read too.

use anyhow::{Context as _, Result};

/// The variables.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>> {
    let variable = |line: &str| {
        let (name, value) = line.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines()
        .map(|line| variable(line).with_context(|| format!("not a variable: {line:?}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_variable() {
        let parsed = parse("A=1\nB=x=y z\nC=\n").expect("three variables");
        let expected = [("A", "1"), ("B", "x=y z"), ("C", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed, expected);
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for text in ["A", "A=1\n\nB=2", "A=1\nrest of a value"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
