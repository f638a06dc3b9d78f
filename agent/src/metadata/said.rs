//! What a namespace says of the metadata service that its pods see.

use super::{Allow, TokenUse};

/// What a namespace says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Whether its pods need tokens; what counts otherwise is the operator's word.
    pub tokens: Option<TokenUse>,
    /// What its pods may read beside what all may.
    pub allow: Allow,
    /// What is wrong with it, in words.
    pub wrong: Vec<String>,
}
