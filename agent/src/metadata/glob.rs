//! Patterns of paths, segment by segment: `*` is anything within one, `**` for a whole one is any number of them, also
//! none. Everything else is meant as it is written, and case counts.
//!
//! Tenants write them, so they are short, and to compare one with a path takes time in proportion to the length of both
//! and no more.

use std::{fmt, str::FromStr};

use crate::id::Excerpt;

/// So many bytes a pattern may have. No path of the metadata service is half as long.
const LONGEST: usize = 256;

/// What paths of the metadata service are made of, beside letters and digits: all others are escaped, or mean something.
const PLAIN: &[u8] = b"/-._~+=,@:";

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Segment>);

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    /// `**`.
    Any,
    /// A name, in which `*` is anything.
    Like(Box<str>),
}

/// A text that is no such pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGlob {
    /// There is nothing below the version.
    #[error(
        "it names no path; write one as meta-data/network/**, or ** for all that may be allowed"
    )]
    Empty,
    /// It is longer than any path.
    #[error("it is longer than {LONGEST} characters; write ** for many segments")]
    TooLong,
    /// It has a character that no path has.
    #[error(
        "{0} is in no path of the metadata service; write letters, digits and any of -._~+=,@: between slashes, nothing \
         encoded and no query, with * for anything within a segment and ** for any number of segments"
    )]
    Character(Excerpt),
    /// It has a segment that is no name.
    #[error("it has the segment {0}; write the path as it is without it")]
    Dots(Excerpt),
    /// It has a `**` that is no whole segment.
    #[error("it has the segment {0}; write ** alone between slashes, or * within a segment")]
    Glued(Excerpt),
    /// It is a regular expression.
    #[error(
        "it has the segment {0}, as in a regular expression; write * for one segment, ** for any number"
    )]
    Expression(Excerpt),
}

impl Glob {
    /// Whether `path` is one of those meant.
    pub fn matches(&self, path: &str) -> bool {
        self.used_up(path).last().is_some_and(|all| *all)
    }

    /// Whether one of those meant may be below `directory`.
    pub fn reaches(&self, directory: &str) -> bool {
        let used_up = self.used_up(directory);
        used_up
            .split_last()
            .is_some_and(|(_all, less)| less.contains(&true))
    }

    /// Its beginning without wildcards: all that is meant is there or below.
    pub(super) fn literal(&self) -> String {
        let names = self.0.iter().map_while(|segment| match segment {
            Segment::Like(name) if !name.contains('*') => Some(&**name),
            Segment::Like(_) | Segment::Any => None,
        });
        names.collect::<Vec<_>>().join("/")
    }

    /// For each number of segments of the pattern, from none to all, whether these match the whole of `path`.
    fn used_up(&self, path: &str) -> Vec<bool> {
        let mut before = vec![false; self.0.len() + 1];
        before[0] = true;
        self.skip(&mut before);
        for name in segments(path) {
            let mut after = vec![false; before.len()];
            for (at, segment) in self.0.iter().enumerate().filter(|(at, _)| before[*at]) {
                match segment {
                    Segment::Any => after[at] = true,
                    Segment::Like(pattern) => after[at + 1] |= like(pattern, name),
                }
            }
            self.skip(&mut after);
            before = after;
        }
        before
    }

    /// `**` may also be nothing.
    fn skip(&self, used_up: &mut [bool]) {
        for (at, segment) in self.0.iter().enumerate() {
            used_up[at + 1] |= used_up[at] && *segment == Segment::Any;
        }
    }
}

impl FromStr for Glob {
    type Err = InvalidGlob;

    /// With a version before it or without, and with a slash at either end or without.
    fn from_str(text: &str) -> Result<Self, InvalidGlob> {
        if text.len() > LONGEST {
            return Err(InvalidGlob::TooLong);
        }
        let is_plain = |character: &char| *character == '*' || is_plain(*character);
        if let Some(odd) = text.chars().find(|character| !is_plain(character)) {
            return Err(InvalidGlob::Character(Excerpt::of(&odd.to_string())));
        }
        let names = segments(text).skip_while(|first| is_version(first));
        let glob = names.map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        if glob.is_empty() {
            return Err(InvalidGlob::Empty);
        }
        Ok(Self(glob))
    }
}

/// Without a version, and without a slash at either end.
impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            let slash = if at == 0 { "" } else { "/" };
            let name = match segment {
                Segment::Any => "**",
                Segment::Like(name) => name,
            };
            write!(f, "{slash}{name}")?;
        }
        Ok(())
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, InvalidGlob> {
        match text {
            "**" => Ok(Self::Any),
            "." | ".." => Err(InvalidGlob::Dots(Excerpt::of(text))),
            ".*" | ".+" => Err(InvalidGlob::Expression(Excerpt::of(text))),
            glued if glued.contains("**") => Err(InvalidGlob::Glued(Excerpt::of(text))),
            name => Ok(Self::Like(name.into())),
        }
    }
}

/// The names of a path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// Whether paths of the metadata service have it.
pub(super) fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || u8::try_from(character).is_ok_and(|byte| PLAIN.contains(&byte))
}

/// Whether `name` is a version, all of which have the same tree: `latest`, `1.0`, or a date.
fn is_version(name: &str) -> bool {
    let is_part = |(at, byte): (usize, u8)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    let is_date = name.len() == "2009-04-04".len() && name.bytes().enumerate().all(is_part);
    is_date || matches!(name, "latest" | "1.0")
}

/// Whether `pattern` is `name`, each `*` in it being anything. What stands between two of them is looked for as far to
/// the front as it can be: that leaves the most for the rest.
fn like(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
