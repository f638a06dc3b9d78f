//! What others say of an error, fit for one line of ours.

use std::error::Error;

/// So much is passed on: an encoded authorization failure of AWS has thousands of characters.
const LENGTH: usize = 400;

/// All causes of an error, each once: some of them say all that is below.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    one_line(&text)
}

/// The first line of a message, and not all of a long one. What could move a cursor is not passed on.
pub(crate) fn one_line(message: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let line = message.lines().next().unwrap_or_default();
    let mut text: String = line.chars().take(LENGTH).map(plain).collect();
    if line.chars().nth(LENGTH).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Self>>);

    #[test]
    fn each_cause_is_told_once() {
        let layer = |text, below: Option<Layer>| Layer(text, below.map(Box::new));
        let twice = layer("b: c", Some(layer("c", None)));
        let whole = layer("a", Some(twice));
        assert_eq!(chain(&whole), "a: b: c");
        let deep = layer("a", Some(layer("b", Some(layer("c", None)))));
        assert_eq!(chain(&deep), "a: b: c");
    }

    #[test]
    fn only_the_beginning_of_the_first_line_is_told() {
        for (message, told) in [
            ("", ""),
            ("one", "one"),
            ("one\ntwo", "one"),
            ("\n", ""),
            ("a\u{9b}2J\tb", "a 2J b"),
        ] {
            assert_eq!(one_line(message), told);
        }
        let long = "\u{e9}".repeat(LENGTH + 1);
        let told = one_line(&long);
        assert_eq!(told.chars().count(), LENGTH + "...".len());
        assert_eq!(one_line(&"x".repeat(LENGTH)).len(), LENGTH);
    }
}
