//! What can be wrong with the annotations. It is told to people, so it repeats little of what they wrote.

use crate::id::Excerpt;

use super::Annotation;

/// An annotation may be this long, in bytes.
pub(in crate::pods) const LONGEST: usize = 16 << 10;

/// A list may have so many entries.
pub(super) const MOST: usize = 256;

/// Why an annotation is refused as a whole. Its namespace then permits no role at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is very long.
    #[error("{0} is longer than {LONGEST} bytes")]
    TooLong(Annotation),
    /// The list is no JSON, or no list of strings.
    #[error(
        "the list of allowed roles is no JSON list of strings \
         (line {line}, column {column}): {text}"
    )]
    Json {
        /// What was written.
        text: Excerpt,
        /// The line of the fault in it.
        line: usize,
        /// The column of the fault in that line.
        column: usize,
    },
    /// The list has very many entries.
    #[error("the list of allowed roles has {0} entries, more than {MOST}")]
    TooMany(usize),
    /// An entry of the list is no ARN, and there is no base ARN to put before it.
    #[error(
        "{0} in the list of allowed roles is no ARN; write the whole ARN, or give --base-role-arn"
    )]
    NoBase(Excerpt),
    /// A regular expression is none.
    #[error("{expression} in {annotation} is no regular expression: {reason}")]
    Expression {
        /// Where it stands.
        annotation: Annotation,
        /// What was written.
        expression: Excerpt,
        /// What is wrong with it.
        reason: String,
    },
    /// A regular expression would take too much memory.
    #[error("{expression} in {annotation} is too large a regular expression")]
    TooLarge {
        /// Where it stands.
        annotation: Annotation,
        /// What was written.
        expression: Excerpt,
    },
    /// The regular expressions would take too much memory together.
    #[error("the regular expressions in {0} are too large together")]
    TooMuch(Annotation),
}

impl Invalid {
    /// Which annotation is wrong.
    pub const fn annotation(&self) -> Annotation {
        match self {
            Self::Json { .. } | Self::TooMany(_) | Self::NoBase(_) => Annotation::Allowed,
            Self::TooLong(annotation)
            | Self::TooMuch(annotation)
            | Self::Expression { annotation, .. }
            | Self::TooLarge { annotation, .. } => *annotation,
        }
    }
}
