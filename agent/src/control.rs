//! The control socket: what the `bpf2iam` command asks the agent that runs on the same node.
//!
//! HTTP/1.1 over a Unix socket in the runtime directory. Only the owner may open it; the answers say
//! which pod has which role, but never contain keys.

mod client;
mod file;
mod server;

use std::path::{Path, PathBuf};

pub use client::{Client, Error as ClientError};
pub use file::{leftovers, remove_leftover};
pub use server::{Answers, Error, NoSuchPod, Server, Standing};

/// Where the agent's status is.
const STATUS: &str = "/v1/status";

/// Where the agent explains a pod; the [`Question`](crate::explain::Question) is its query, as JSON.
const EXPLAIN: &str = "/v1/explain";

/// The field of that query.
const QUESTION: &str = "question";

/// The socket below `runtime_dir`.
fn socket_path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("control.sock")
}

#[cfg(test)]
mod tests;
