//! How a path is spelled when we ask for it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// RFC 3986, 3.3: all that a segment has to spell by numbers. A plus is a plus.
const SPELLED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The target of a request for what is at `path` below `latest`, which is decoded. None for what is no canonical path:
/// whatever the service made of it, it would not be that.
pub fn target(path: &str) -> Option<String> {
    let mut target = "/latest".to_owned();
    if path.is_empty() {
        target.push('/');
        return Some(target);
    }
    for segment in path.split('/') {
        if matches!(segment, "" | "." | "..") {
            return None;
        }
        target.push('/');
        target.extend(utf8_percent_encode(segment, SPELLED));
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_plain_letter_is_spelled_by_its_number() {
        for (path, spelled) in [
            ("", "/latest/"),
            ("meta-data", "/latest/meta-data"),
            (
                "meta-data/placement/region",
                "/latest/meta-data/placement/region",
            ),
            (
                "meta-data/tags/instance/a b%2Fc",
                "/latest/meta-data/tags/instance/a%20b%252Fc",
            ),
            (
                "meta-data/x/0e:49:61:0f:c3:11",
                "/latest/meta-data/x/0e:49:61:0f:c3:11",
            ),
            ("a+b=c,d@e", "/latest/a+b=c,d@e"),
            ("a?b#c\\d", "/latest/a%3Fb%23c%5Cd"),
            ("a\r\nHost: b", "/latest/a%0D%0AHost:%20b"),
            ("\u{e9}\0", "/latest/%C3%A9%00"),
            ("...", "/latest/..."),
        ] {
            assert_eq!(target(path).as_deref(), Some(spelled));
        }
    }

    #[test]
    fn what_is_not_canonical_is_asked_for_by_nobody() {
        for path in ["/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "a/./b"] {
            assert_eq!(target(path), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn it_is_one_target_and_decodes_to_the_same(path in "([^/]{1,9}/){0,4}[^/]{1,9}") {
            if let Some(target) = target(&path) {
                prop_assert!(target.bytes().all(|byte| byte.is_ascii_graphic()), "{target}");
                prop_assert!(!target.contains(['?', '#', '\\']), "{target}");
                prop_assert_eq!(target.matches('/').count(), path.matches('/').count() + 2);
                let decoded = percent_encoding::percent_decode_str(&target).decode_utf8();
                prop_assert_eq!(decoded.unwrap(), format!("/latest/{path}"));
            }
        }
    }
}
