//! The agent as it is shipped, installed on a real cluster: unmodified clients in real pods, and what an operator does.
//!
//! Needs a cluster with its images and stand-ins: `cargo xtask cluster`.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod containers;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod install;
#[cfg(test)]
mod life;
#[cfg(test)]
mod node;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod uninstall;
