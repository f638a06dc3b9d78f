//! The tags of a session, which policies of its role may ask about (attribute based access control).

use std::sync::Arc;

/// So many tags a session has at the most.
const MOST: usize = 50;

/// Characters of a key, ...
const KEY: std::ops::RangeInclusive<usize> = 1..=128;

/// ... and of a value.
const VALUE: std::ops::RangeInclusive<usize> = 0..=256;

/// Tags that STS takes, in the order of their keys. All of them are transitive: a role that is assumed with the
/// session has them too, as with EKS Pod Identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(Option<Arc<[Tag]>>);

type Tag = (Arc<str>, Arc<str>);

/// Tags that STS does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTags {
    /// More than there may be.
    #[error("{0} session tags are more than the {MOST} that STS takes")]
    TooMany(usize),
    /// A key that is too long, empty, has characters that STS does not take, or begins with `aws:`.
    #[error(
        "{0:?} is no key of a session tag: up to 128 letters, digits, spaces and _.:/=+-@, not beginning with aws:"
    )]
    Key(String),
    /// A value that is too long, or has characters that STS does not take.
    #[error(
        "the value of the session tag {0:?} is none that STS takes: up to 256 letters, digits, spaces and _.:/=+-@"
    )]
    Value(String),
    /// Two keys that differ in nothing but capitals: to STS they are the same.
    #[error("the session tag {0:?} is there twice")]
    Twice(String),
}

impl Tags {
    /// Checks and orders `tags`, given as keys and values.
    pub fn new<K, V>(tags: impl IntoIterator<Item = (K, V)>) -> Result<Self, InvalidTags>
    where
        K: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        let tags = tags.into_iter();
        let mut tags: Vec<Tag> = tags
            .map(|(key, value)| (key.into(), value.into()))
            .collect();
        if tags.is_empty() {
            return Ok(Self(None));
        }
        if tags.len() > MOST {
            return Err(InvalidTags::TooMany(tags.len()));
        }
        tags.sort_unstable();
        for (key, value) in &tags {
            check(key, value)?;
        }
        match twice(&tags) {
            Some(key) => Err(InvalidTags::Twice(key.to_string())),
            None => Ok(Self(Some(tags.into()))),
        }
    }

    /// Key and value of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let tags = self.0.as_deref().unwrap_or_default();
        tags.iter().map(|(key, value)| (&**key, &**value))
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

fn check(key: &str, value: &str) -> Result<(), InvalidTags> {
    let fits = |text: &str, length: &std::ops::RangeInclusive<usize>| {
        length.contains(&text.chars().count()) && text.chars().all(is_legal)
    };
    if !fits(key, &KEY)
        || key
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
    {
        return Err(InvalidTags::Key(key.to_owned()));
    }
    if !fits(value, &VALUE) {
        return Err(InvalidTags::Value(key.to_owned()));
    }
    Ok(())
}

/// spec: STS's API reference, `Tag`: `[\p{L}\p{Z}\p{N}_.:/=+\-@]`. Of the spaces only the plain one is taken here.
fn is_legal(letter: char) -> bool {
    letter.is_alphanumeric()
        || matches!(letter, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@')
}

/// A key that is there twice, however it is spelled.
fn twice(tags: &[Tag]) -> Option<&str> {
    let mut seen = std::collections::HashSet::new();
    let mut keys = tags.iter().map(|(key, _)| &**key);
    keys.find(|key| !seen.insert(key.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(tags: &[(&str, &str)]) -> InvalidTags {
        Tags::new(tags.iter().copied()).unwrap_err()
    }

    #[test]
    fn tags_are_kept_in_order_and_equal_when_they_say_the_same() {
        let one = Tags::new([("b", "2"), ("a", "1")]).unwrap();
        let other = Tags::new([("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert!(!one.is_empty());
        assert_ne!(one, Tags::new([("a", "1")]).unwrap());
        assert!(Tags::new([] as [(&str, &str); 0]).unwrap().is_empty());
    }

    #[test]
    fn no_more_than_fifty_are_taken() {
        let tags = |number: usize| Tags::new((0..number).map(|at| (format!("k{at}"), "v")));
        assert_eq!(tags(50).unwrap().iter().len(), 50);
        assert_eq!(tags(51), Err(InvalidTags::TooMany(51)));
    }

    #[test]
    fn what_sts_does_not_take_is_refused_by_name() {
        let long = "k".repeat(129);
        for key in ["", "a\nb", "a,b", "a*", "aws:a", "AWS:a", &long] {
            assert_eq!(refused(&[(key, "v")]), InvalidTags::Key(key.to_owned()));
        }
        let long = "v".repeat(257);
        for value in ["a\tb", "{}", "\u{7}", &long] {
            assert_eq!(refused(&[("k", value)]), InvalidTags::Value("k".to_owned()));
        }
        assert_eq!(
            refused(&[("Team", "a"), ("team", "b")]),
            InvalidTags::Twice("team".to_owned())
        );
        for (key, value) in [("a b_.:/=+-@1", ""), (&*"k".repeat(128), &*"v".repeat(256))] {
            assert!(Tags::new([(key, value)]).is_ok(), "{key}");
        }
    }
}
