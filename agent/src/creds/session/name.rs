//! The name of a session at STS, as audit logs and the assumed role's ARN show it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// What STS takes (`RoleSessionName`): 2 to 64 of letters, digits and `_+=,.@-`.
const LENGTH: std::ops::RangeInclusive<usize> = 2..=64;

/// Stands between a name that was changed and its hash. No name in Kubernetes has it.
const MARK: char = '=';

/// Hexadecimal digits of the hash.
const DIGITS: usize = 12;

/// Makes `text` a session's name. What STS takes stays as it is; everything else is cleaned, cut, and told
/// apart from other names by a short hash of the whole text, so that two texts never share a name.
pub fn session_name(text: &str) -> String {
    let legal = LENGTH.contains(&text.len()) && text.chars().all(is_legal);
    if legal && !is_marked(text) {
        return text.to_owned();
    }
    let kept = LENGTH.end() - DIGITS - MARK.len_utf8();
    let mut name: String = text
        .chars()
        .map(|letter| if is_legal(letter) { letter } else { '-' })
        .take(kept)
        .collect();
    name.push(MARK);
    name.push_str(&hash(text));
    name
}

const fn is_legal(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '+' | '=' | ',' | '.' | '@' | '-')
}

/// Whether `text` ends as a changed name does. It could be one, so it is changed too.
fn is_marked(text: &str) -> bool {
    text.rsplit_once(MARK).is_some_and(|(_, end)| {
        end.len() == DIGITS
            && end
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut hex = String::new();
    for byte in digest.iter().take(DIGITS / 2) {
        // Writing to a string cannot fail.
        let _written = write!(hex, "{byte:02x}").is_ok();
    }
    hex
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn taken_by_sts(name: &str) -> bool {
        (2..=64).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
    }

    #[test]
    fn a_name_that_sts_takes_stays() {
        for name in [
            "bpf2iam",
            "ip-10-0-0-1.ec2.internal",
            "shop.cart-0",
            "a=b,c+d@e_f",
            "ab",
            &"n".repeat(64),
        ] {
            assert_eq!(session_name(name), name);
        }
    }

    #[test]
    fn a_name_that_sts_refuses_is_cleaned_and_marked() {
        for (text, start, length) in [
            ("shop/cart", "shop-cart=", 22),
            (
                "system:serviceaccount:a:b",
                "system-serviceaccount-a-b=",
                38,
            ),
            ("caf\u{e9}", "caf-=", 17),
            ("", "=", 13),
            ("a", "a=", 14),
            (&"n".repeat(65), &format!("{}=", "n".repeat(51)), 64),
            (
                &"\u{1f600}".repeat(100),
                &format!("{}=", "-".repeat(51)),
                64,
            ),
        ] {
            let name = session_name(text);
            assert!(name.starts_with(start), "{name}");
            assert_eq!(name.len(), length, "{name}");
            assert!(taken_by_sts(&name), "{name}");
        }
    }

    #[test]
    fn names_that_look_alike_once_cleaned_differ() {
        let long = "n".repeat(64);
        let texts = [
            "a/b",
            "a:b",
            "a b",
            "a-b",
            "",
            "a",
            "-",
            "--",
            "---",
            &format!("{long}1"),
            &format!("{long}2"),
            &long,
        ];
        let names: HashMap<_, _> = texts
            .iter()
            .map(|text| (session_name(text), text))
            .collect();
        assert_eq!(names.len(), texts.len(), "{names:?}");
    }

    #[test]
    fn nobody_takes_the_name_that_another_text_becomes() {
        let name = session_name("a/b");
        assert_ne!(session_name(&name), name);
    }

    proptest! {
        #[test]
        fn every_text_becomes_a_name_that_sts_takes(text in any::<String>()) {
            prop_assert!(taken_by_sts(&session_name(&text)));
        }

        #[test]
        fn two_texts_never_share_a_name(
            one in "[ab=/:0-9]{0,70}",
            other in "[ab=/:0-9]{0,70}",
        ) {
            let (first, second) = (session_name(&one), session_name(&other));
            prop_assert_eq!(one == other, first == second);
        }

        #[test]
        fn a_cleaned_name_is_no_ones_else(text in "[a-z/]{0,70}") {
            let name = session_name(&text);
            if name != text {
                prop_assert_ne!(session_name(&name), name);
            }
        }
    }
}
