//! What is said of a session at STS beside its role, checked against STS's limits before any call.

mod length;
mod name;
mod policies;
mod tags;

pub use length::{InvalidLength, SessionLength};
pub use name::session_name;
pub use policies::{InvalidPolicies, Policies};
pub use tags::{InvalidTags, Tags};
