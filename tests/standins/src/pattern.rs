//! Patterns with stars, for paths and for subjects of tokens.

/// Whether `text` looks like `pattern`, in which `*` stands for anything.
pub(crate) fn looks_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, looks) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("*", "", true),
            ("/a*", "/a", true),
            ("/a*", "/b/a", false),
            ("*/token", "/x/y/token", true),
            ("*/token", "/x/token/y", false),
            ("/a/*/c/*", "/a/b/c/d", true),
            ("/a/*/c/*", "/a/c/d", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(looks_like(pattern, text), looks, "{pattern} {text}");
        }
    }
}
