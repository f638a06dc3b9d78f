//! The stand-ins over real sockets: their bytes, their rules, their control, and a real client.

// Always so in a test; it also tells clippy that helpers may unwrap.
#![cfg(test)]

mod apiserver;
mod faults;
mod imds;
mod programs;
mod sdk;
mod sts;
mod web_identity;
mod wire;
