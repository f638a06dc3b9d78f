//! `cargo xtask api`: the agent against a real API server.
//!
//! The control plane is built from its sources, brought up in namespaces without an uplink, and taken down again,
//! however the tests end.

use anyhow::{Result, bail, ensure};
use rustix::process::geteuid;

use crate::{
    build,
    cx::Cx,
    helm::Helm,
    install,
    interrupt::Interrupt,
    kube::{self, Cluster},
    profile::Profile,
    programs,
    tier::{self, Tier},
};

/// What the tests set a node up with, besides what the cluster is made with.
const NEEDS: [install::Package; 1] = [install::CURL];

const API: Tier = Tier {
    name: "api",
    packages: "--package=bpf2iam-api",
};

/// Which tests to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains one of these
    filter: Vec<String>,
}

/// Runs the tests on a cluster that is there for them alone.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "only root can: sudo -E env \"PATH=$PATH\" cargo xtask api"
    );
    let wanted: Vec<_> = kube::NEEDS.into_iter().chain(NEEDS).collect();
    install::debian(cx, &wanted)?;
    let kubernetes = kube::programs::control_plane(cx)?;
    let helm = Helm::ensure(cx)?;
    let built = build::all(cx, Profile::Dev)?;
    programs::around(built.agent.clone(), cx, Profile::Dev, &[])?;
    let interrupt = Interrupt::listen()?;
    let cluster = Cluster::control_plane(cx, kubernetes)?;
    let mut environment = cluster.environment()?;
    environment.push(helm.variable());
    let outcome = interrupt.during(
        || API.run_in(cx, &args.filter, Some(&built), &environment),
        || cluster.abandon(),
    );
    if outcome.is_failure() && !interrupt.came() {
        cluster.show_logs(&["kube-apiserver"]);
    }
    cluster.down()?;
    if interrupt.came() {
        bail!("interrupted; the cluster is removed");
    }
    tier::summary(&[(API.name, outcome)], &args.filter)
}
