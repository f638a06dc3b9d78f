//! How connections end that got no further than half a request, in words for metrics.

/// Why a connection broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Breakage {
    /// The client took too long, to say what it wants or to listen.
    Timeout,
    /// What it said is no HTTP, or can be read in two ways, or is too long.
    Malformed,
    /// It went away in the middle.
    Gone,
}

impl Breakage {
    /// The word in the label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Gone => "gone",
        }
    }
}

/// How it ends when the head was right.
impl From<&hyper::Error> for Breakage {
    fn from(error: &hyper::Error) -> Self {
        if error.is_parse() {
            Self::Malformed
        } else {
            Self::Gone
        }
    }
}
