//! `cargo xtask clients`: real AWS clients, unmodified, in pods of a node without uplink.
//!
//! Each client asks STS who it is, once for each way to the metadata service, in all pods at once. Before the agent
//! starts all of them are the node, so that this can fail. With the agent each is its pod's role, and in a pod without
//! a role it ends as its makers meant it to, which was seen before. STS is moto's server. Once more each is its pod's
//! role where tokens are required, and where that is the role of its ServiceAccount; STS was asked with the pod's token.
//!
//! Then our stand-in is STS: pods are refused their roles, answers are late, keys are short. Some clients run for a
//! whole day, which is not noticed. What came of all this is a table at the end, with a line for each client.

use anyhow::{Result, ensure};
use rustix::process::geteuid;

use crate::{build, cx::Cx, install, profile::Profile, programs};

mod client;
pub(crate) mod kit;
mod manners;
mod task;
mod transport;
mod venv;

mod column;
mod matrix;
mod table;

mod access;
mod ledger;
mod member;
mod moto;
mod peer;
mod ran;
mod reference;
mod scene;
mod status;
mod verdict;

mod cast;
mod cluster;
mod day;
mod delayed;
mod refresh;
mod refused;
mod region;
mod web_identity;
mod with_moto;
mod with_stand_in;

use kit::Kit;
use table::Table;

/// What the node is set up with, and one of the clients.
const NEEDS: [install::Package; 2] = [install::CURL, install::IPROUTE2];

/// Runs every client.
pub(crate) fn run(cx: &Cx) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "only root can: sudo -E env \"PATH=$PATH\" cargo xtask clients"
    );
    install::debian(cx, &NEEDS)?;
    let built = build::all(cx, Profile::Dev)?;
    let kit = Kit::ensure(cx, &built)?;
    let programs = programs::around(built.agent, cx, Profile::Dev, &[])?;
    let mut table = Table::default();
    let apiserver = programs.program("apiserver-standin");
    let apart = programs.programs.clone();
    let reference = with_moto::play(apart.clone(), &apiserver, &kit, &mut table)?;
    with_stand_in::play(apart, &kit, &reference, &mut table)?;
    day::play(&programs.programs, &kit, &cx.target_dir(), &mut table)?;
    table.finish()
}
