//! What the kernel tier needs besides a stage: the kernel's own word on what is loaded, and programs of somebody
//! else on the same cgroups.

#![deny(unsafe_code)]

pub mod bpftool;
pub mod foreign;
pub mod objects;
