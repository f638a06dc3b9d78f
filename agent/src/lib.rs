//! bpf2iam gives each Kubernetes pod its own AWS credentials through the ordinary instance metadata address.
//!
//! The modules in the order in which a connection meets them; `ARCHITECTURE.md` tells the whole story.

#![deny(unsafe_code)]

pub mod app;
pub mod args;
pub mod config;
pub mod discover;

mod budget;
mod chain;
pub mod clock;
mod digest;
pub mod drain;
pub mod dump;
mod duration;
pub mod id;
mod memory;
pub mod runtime;

pub mod attest;
pub mod cgroup;
pub mod creds;
pub mod established;
pub mod imds;
pub mod kubernetes;
pub mod metadata;
pub mod netns;
pub mod notices;
pub mod pods;
pub mod redirect;
pub mod trial;
pub mod upstream;
pub mod warm;

pub mod admin;
pub mod command;
pub mod control;
pub mod doctor;
pub mod exempt;
pub mod explain;
mod http;
pub mod metrics;
pub mod readiness;
pub mod status;
mod table;
pub mod telemetry;
pub mod terminal;
