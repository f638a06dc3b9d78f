//! What the tests of a whole cluster have in common: the cluster, the agent installed on it as an operator does it, and pods
//! with clients that know nothing of it.
//!
//! The cluster, its images and the stand-ins for the metadata service and STS are there when the tests begin (`cargo xtask
//! cluster`). It is one for all tests, and what they do to the agent happens to all pods, so one runs at a time.

pub mod image;
pub mod install;
pub mod pod;
pub mod siege;
pub mod site;
pub mod wait;

mod outside;

pub use outside::Outside;
pub use site::Site;
