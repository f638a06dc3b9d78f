//! bpf2iam gives each Kubernetes pod its own AWS credentials through the ordinary instance metadata address.
//!
//! The modules in the order in which a connection meets them; `ARCHITECTURE.md` tells the whole story.

#![deny(unsafe_code)]

pub mod clock;
pub mod drain;
pub mod id;

pub mod attest;
pub mod creds;
pub mod pods;
