//! The beginning of what somebody else wrote, fit to be repeated in logs, errors and Events.
//!
//! Annotations may be 256 KiB long and hold anything. What is printed of them is ASCII, on one line, between quotation
//! marks, and short.

use std::fmt::{self, Write as _};

/// As many characters are printed of a text, those of escapes included.
const LONGEST: usize = 100;

/// A text as it is repeated to people: quoted, escaped, and cut where it is long.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Excerpt {
    escaped: Box<str>,
    cut: bool,
}

impl Excerpt {
    /// The beginning of `text`. Blanks within are left; whatever else cannot be seen, or is no ASCII, is escaped.
    pub fn of(text: &str) -> Self {
        let mut escaped = String::new();
        for character in text.chars() {
            let character = character.escape_default();
            if escaped.len() + character.len() > LONGEST {
                return Self {
                    escaped: escaped.into(),
                    cut: true,
                };
            }
            escaped.extend(character);
        }
        Self {
            escaped: escaped.into(),
            cut: false,
        }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        f.write_str(&self.escaped)?;
        f.write_str(if self.cut { "\"..." } else { "\"" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_text_is_quoted_and_what_cannot_be_seen_is_escaped() {
        for (text, printed) in [
            ("", r#""""#),
            ("my-role", r#""my-role""#),
            (" a b ", r#"" a b ""#),
            ("a\nb\r\tc\0", r#""a\nb\r\tc\u{0}""#),
            (r#"["a\b"]"#, r#""[\"a\\b\"]""#),
            (
                "caf\u{e9}\u{a0}\u{200b}\u{202e}",
                r#""caf\u{e9}\u{a0}\u{200b}\u{202e}""#,
            ),
            ("\u{1b}[2J", r#""\u{1b}[2J""#),
        ] {
            assert_eq!(Excerpt::of(text).to_string(), printed);
            assert_eq!(format!("{:?}", Excerpt::of(text)), printed);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        let whole = "x".repeat(LONGEST);
        assert_eq!(Excerpt::of(&whole).to_string(), format!("\"{whole}\""));
        for more in ["x", "\n", "\u{e9}"] {
            let text = format!("{whole}{more}");
            assert_eq!(Excerpt::of(&text).to_string(), format!("\"{whole}\"..."));
        }
        let almost = "x".repeat(LONGEST - 1);
        let text = format!("{almost}\n");
        assert_eq!(Excerpt::of(&text).to_string(), format!("\"{almost}\"..."));
    }

    proptest! {
        #[test]
        fn it_is_always_one_short_line_of_ascii(text in any::<String>(), times in 1_usize..200) {
            let printed = Excerpt::of(&text.repeat(times)).to_string();
            prop_assert!(printed.len() <= LONGEST + r#"""..."#.len(), "{printed}");
            prop_assert!(printed.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{printed}");
        }
    }
}
