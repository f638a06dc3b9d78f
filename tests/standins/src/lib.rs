//! Stand-ins for what bpf2iam talks to: the EC2 instance metadata service, STS, and the Kubernetes API server.
//!
//! They speak the real protocols over real sockets, remember what they were asked, and can be told to misbehave.
//! Tests start them in their own process ([`imds::Imds`], [`sts::Sts`], [`apiserver::ApiServer`]); the programs
//! `imds-standin`, `sts-standin` and `apiserver-standin` are the same for use by hand. They share no code with the agent,
//! so that a mistake in one is not repeated by the other.
//!
//! Whatever belongs to the node and may never reach a pod contains [`LEAK_MARK`].

pub mod apiserver;
pub mod clock;
pub mod imds;
pub mod journal;
pub mod listen;
pub mod program;
pub mod rules;
pub mod sts;

mod broken;
mod control;
mod json;
mod pattern;
mod random;
mod running;
mod serve;
mod shared;

/// In every secret of the node: access key, secret key, session token, user data, signed documents.
pub const LEAK_MARK: &str = "AKIDNODE";
