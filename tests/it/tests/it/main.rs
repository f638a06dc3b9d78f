//! The whole agent, unprivileged, against stand-ins that speak the real protocols over real sockets.
//!
//! Only the kernel's part is played: pods are told apart by the loopback address that they connect from. A test asserts
//! the answer, the metric and the log record, and at its end every [`world::World`] looks for secrets in all that the
//! agent said.

// Always so in a test; it also tells clippy that helpers may unwrap.
#![cfg(test)]

mod client;
mod imds_host;
mod log;
mod node_keys;
mod openmetrics;
mod own_node;
mod pod;
mod sts_host;
mod wait;
mod world;

mod admin;
mod cluster;
mod command;
mod compat;
mod drain;
mod events;
mod exempt;
mod faults;
mod iam;
mod lifetime;
mod manifests;
mod paths;
mod roles;
mod rude;
mod secrets;
mod smuggling;
mod start;
mod tokens;
mod tree;
mod web_identity;
