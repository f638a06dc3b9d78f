//! The path of a request in its one canonical form.
//!
//! Everything that decides sees this form only, so that no two spellings of a path are ever treated
//! differently: percent-escapes are decoded once, runs of slashes are one, dot segments are gone. What
//! cannot be understood has no canonical form. `Display` writes the form down again; it parses to itself.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

/// What `Display` writes as it is, beside letters and digits. A subset of what RFC 3986 allows in a path.
const PLAIN: &[u8] = b"/-._~+=,@:";

/// A canonical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Decoded; each segment with a slash before it. The root is empty.
    text: String,
    directory: bool,
}

impl Path {
    /// Understands `raw`, the path of a request without its query. None when it has an escape that is
    /// none, is no UTF-8, has control characters, climbs above the root, or does not begin with a slash.
    pub(super) fn parse(raw: &str) -> Option<Self> {
        let decoded = decode(raw)?;
        let below_root = decoded.strip_prefix('/')?;
        let mut text = String::with_capacity(decoded.len());
        let mut directory = false;
        for segment in below_root.split('/') {
            directory = matches!(segment, "" | "." | "..");
            match segment {
                "" | "." => {}
                ".." => text.truncate(text.rfind('/')?),
                name => {
                    text.push('/');
                    text.push_str(name);
                }
            }
        }
        Some(Self { text, directory })
    }

    /// The path without its first slash: decoded, to be compared, not to be parsed again.
    pub(super) fn as_str(&self) -> &str {
        self.text.strip_prefix('/').unwrap_or_default()
    }

    /// Whether it ends with a slash (or with a dot segment, which is the same).
    pub(super) const fn is_directory(&self) -> bool {
        self.directory
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.text.bytes() {
            if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        if self.directory {
            f.write_char('/')?;
        }
        Ok(())
    }
}

fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let decoded = if raw.contains('%') {
        Cow::Owned(unescape(raw)?)
    } else {
        Cow::Borrowed(raw)
    };
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

/// Decodes percent-escapes once. A plus stays a plus: role names have them.
fn unescape(raw: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(raw: &str) -> Option<String> {
        Path::parse(raw).map(|path| path.to_string())
    }

    #[test]
    fn each_path_has_one_form() {
        for (raw, expected) in [
            ("/", "/"),
            ("//", "/"),
            ("/a", "/a"),
            ("/a/", "/a/"),
            ("//a///b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/../b", "/b"),
            ("/a//../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/a/...", "/a/..."),
            ("/%61", "/a"),
            ("/a%2fb", "/a/b"),
            ("/a%2Fb", "/a/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a%2f%2e%2e%2fb", "/b"),
            ("/%252e%252e/a", "/%252e%252e/a"),
            ("/a+b", "/a+b"),
            ("/a%2Bb", "/a+b"),
            ("/a%20b", "/a%20b"),
            ("/a;b", "/a%3Bb"),
            ("/a\\b", "/a%5Cb"),
            ("/%C3%A9", "/%C3%A9"),
            ("/é", "/%C3%A9"),
            ("/A", "/A"),
        ] {
            assert_eq!(canonical(raw).as_deref(), Some(expected), "{raw}");
        }
    }

    #[test]
    fn what_is_not_understood_has_no_form() {
        for raw in [
            "",
            "a",
            "*",
            "a/b",
            "/..",
            "/../a",
            "/a/../..",
            "/%2e%2e",
            "/%2e%2e/a",
            "/%",
            "/%4",
            "/%zz",
            "/%4g",
            "/a%",
            "/%+1",
            "/%00",
            "/a%00b",
            "/%0a",
            "/%0d%0a",
            "/%7f",
            "/%ff",
            "/%C3",
            "/%C0%AF",
            "/%c2%85",
            "/%C0%AE%C0%AE/a",
            "/\u{0}",
            "/a\nb",
        ] {
            assert_eq!(canonical(raw), None, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_its_own_canonical_form(raw in "(/|//|%2[eEfF]|%25|\\.|a|%41|%C3%A9|[ -~]|\\PC){0,24}") {
            if let Some(path) = Path::parse(&format!("/{raw}")) {
                prop_assert_eq!(Path::parse(&path.to_string()), Some(path));
            }
        }

        #[test]
        fn no_form_has_a_dot_segment_or_an_empty_one(raw in "(/|%2[eEfF]|\\.|[ab%;]){0,24}") {
            if let Some(path) = Path::parse(&format!("/{raw}")) {
                let text = path.as_str();
                prop_assert!(text.is_empty() || text.split('/').all(|name| !matches!(name, "" | "." | "..")));
            }
        }
    }
}
