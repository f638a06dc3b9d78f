//! Stand-ins for the two AWS services that bpf2iam talks to: the EC2 instance metadata service and STS.
//!
//! They speak the real protocols over real sockets, remember what they were asked, and can be told to misbehave.
//! Tests start them in their own process ([`imds::Imds`], [`sts::Sts`]); the programs `imds-standin` and
//! `sts-standin` are the same for use by hand. They share no code with the agent, so that a mistake in one is
//! not repeated by the other.
//!
//! Whatever belongs to the node and may never reach a pod contains [`LEAK_MARK`].

pub mod clock;
pub mod imds;
pub mod journal;
pub mod listen;
pub mod program;
pub mod sts;

mod control;
mod json;
mod random;
mod running;
mod serve;
mod shared;

/// In every secret of the node: access key, secret key, session token, user data, signed documents.
pub const LEAK_MARK: &str = "AKIDNODE";
