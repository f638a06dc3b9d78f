//! The API server: how to reach it, and who we are to it.
//!
//! A [`Client`] is made in [`connect()`] only. It repeats nothing and hides nothing: whoever asks decides how long to
//! wait, and when to ask again.

mod connect;
pub mod daemon_set;
pub mod event;
pub mod node;
mod refusal;
mod settings;
pub mod token;

pub use connect::{Error, Fault, InvalidToken, connect, parse_token};
pub use settings::{InvalidUrl, Server, Settings, Trust};

/// A connection to the API server. Clones share it, and cost nothing.
pub use kube::Client;
