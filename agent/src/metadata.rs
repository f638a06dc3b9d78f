//! What of the instance's metadata pods may see, and how they have to ask for it: decisions, no I/O.
//!
//! Paths here are canonical, decoded, below a version and without a slash at either end, as in
//! `meta-data/placement/region`. The iam tree, the instance's own keys and the user data are nobody's, whatever anybody
//! allows; and what no table and no operator names does not exist.

mod allow;
mod document;
mod glob;
pub(crate) mod layout;
mod listing;
mod place;
mod said;
mod table;
mod token_use;

pub use allow::{Allow, InvalidAllow, View};
pub use document::without_secrets;
pub use glob::{Glob, InvalidGlob};
pub use listing::{Iam, filtered};
pub use place::Place;
pub use said::Said;
pub use table::{Access, DOCUMENT, Freshness, LASTING, access, freshness};
pub use token_use::TokenUse;
