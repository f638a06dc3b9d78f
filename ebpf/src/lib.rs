//! What both sides of bpf2iam share: the layout of the maps, and what the programs decide.
//!
//! The library is compiled twice, for the kernel with the programs and for user space with the agent, and
//! it is tested on the host. Nothing in it touches the kernel.

#![no_std]
#![expect(
    clippy::inline_always,
    reason = "a call is dear in BPF, and old kernels limit its depth"
)]
#![deny(unsafe_code)]

pub mod abi;
pub mod address;
pub mod decide;
