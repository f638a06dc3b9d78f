//! Patterns in which only `*` is special. Matching never goes back, so that it takes linear time whatever is written.

/// A text with `*` for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Box<str>);

impl Glob {
    /// The pattern `text`.
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The pattern that matches as a whole what the regular expression `text` does, if there is one. Most expressions
    /// that people write need no more, and a glob is a hundredth of a compiled expression.
    pub(super) fn from_expression(text: &str) -> Option<Self> {
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix('$').unwrap_or(text);
        let mut glob = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            glob.push(match character {
                '.' => rest.next().filter(|next| *next == '*')?,
                '\\' => rest.next().filter(|next| ".+-/".contains(*next))?,
                _ if is_plain(character) => character,
                _ => return None,
            });
        }
        Some(Self(glob.into()))
    }

    /// Whether it matches the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        let Some(mut rest) = rest.strip_suffix(last) else {
            return false;
        };
        // The earliest place of each part leaves most to the others.
        parts.all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    }
}

/// Whether it stands for itself in regular expressions.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_-=,@:/".contains(character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::bytes::RegexBuilder;

    use super::*;

    /// What a glob means, in so many words. It takes exponential time.
    fn means(glob: &[u8], text: &[u8]) -> bool {
        match (glob.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', after)), None) => means(after, text),
            (Some((b'*', after)), Some((_, rest))) => means(after, text) || means(glob, rest),
            (Some((wanted, after)), Some((is, rest))) => wanted == is && means(after, rest),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn a_star_stands_for_anything_and_the_rest_for_itself() {
        for (glob, text, matches) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b:c", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("a", "ba", false),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("*a*", "bab", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a/b/c/b/c", true),
            ("a*b*c", "a/c/b", false),
            ("a**c", "abc", true),
            ("a?c", "abc", false),
            ("a.c", "abc", false),
            ("[a]", "a", false),
        ] {
            assert_eq!(Glob::new(glob).matches(text), matches, "{glob} {text}");
        }
    }

    #[test]
    fn many_stars_on_a_long_text_take_no_time() {
        // Whoever goes back at each star is still at it when the sun goes out.
        let text = "a".repeat(100_000);
        for glob in [
            format!("{}b", "a*".repeat(8_000)),
            "*a".repeat(8_000) + "b*",
        ] {
            assert!(!Glob::new(&glob).matches(&text));
        }
        assert!(Glob::new(&"*a".repeat(8_000)).matches(&text));
    }

    #[test]
    fn an_expression_that_is_more_than_literals_and_dot_star_is_no_glob() {
        for text in [
            "a.c", "a.", ".", "a.+", "a+", "a?", "a*", ".*?", ".**", "a|b", "(a)", "[a]", "a{2}",
            r"\d", r"a\", r"a\$", r"\*", "a^b", "a$b", "^^a", "a$$", "a b", "\u{e9}", "#",
        ] {
            assert_eq!(Glob::from_expression(text), None, "{text}");
        }
        for (text, glob) in [
            ("", ""),
            ("^a$", "a"),
            ("path/.*", "path/*"),
            (r"a\.b\+c", "a.b+c"),
            (".*-role", "*-role"),
            (
                "arn:aws:iam::123456789012:role/.*",
                "arn:aws:iam::123456789012:role/*",
            ),
        ] {
            assert_eq!(Glob::from_expression(text), Some(Glob::new(glob)), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_it_means(glob in "[ab*]{0,8}", text in "[ab]{0,10}") {
            let expected = means(glob.as_bytes(), text.as_bytes());
            prop_assert_eq!(Glob::new(&glob).matches(&text), expected);
        }

        #[test]
        fn a_glob_in_place_of_an_expression_matches_the_same(
            expression in r"\^?(a|b|-|/|\.\*|\\\.|\.|\?|\+){0,6}\$?",
            text in "[ab./-]{0,8}",
        ) {
            if let Some(glob) = Glob::from_expression(&expression) {
                let expression = RegexBuilder::new(&format!("^(?:{expression})$")).unicode(false).build().unwrap();
                prop_assert_eq!(glob.matches(&text), expression.is_match(text.as_bytes()));
            }
        }
    }
}
