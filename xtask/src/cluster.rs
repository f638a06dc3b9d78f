//! `cargo xtask cluster`: the agent as it is shipped, on a real cluster.
//!
//! The image is loaded into the node's containerd, the chart is installed by Helm, and unmodified clients run in real pods.
//! The cluster is built from its sources, brought up in namespaces without an uplink, and taken down again, however the
//! tests end. The metadata service and STS are stand-ins beyond the node's gateway.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, bail, ensure};
use rustix::process::geteuid;

use crate::{
    build::{self, Built},
    cx::Cx,
    exec,
    helm::Helm,
    install,
    interrupt::Interrupt,
    kube::{self, Cluster},
    profile::Profile,
    programs, say,
    tier::{self, Outcome, Tier},
};

mod clients;
mod images;
mod outside;

use clients::Clients;

/// What the tests look at the node with.
const NEEDS: [install::Package; 2] = [install::BPFTOOL, install::CURL];

/// Whose last words may tell why a test failed.
const LOGS: [&str; 3] = ["kube-apiserver", "containerd", "kubelet"];

const CLUSTER: Tier = Tier {
    name: "cluster",
    packages: "--package=bpf2iam-e2e",
};

/// Which tests to run.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains one of these
    filter: Vec<String>,
    /// Measure, and run no test. The machine should be idle
    #[arg(long, conflicts_with = "filter")]
    measure: bool,
}

/// Runs the tests on a cluster that is there for them alone.
pub(crate) fn run(cx: &Cx, args: &Args) -> Result<()> {
    ensure!(
        geteuid().is_root(),
        "only root can: sudo -E env \"PATH=$PATH\" cargo xtask cluster"
    );
    let packages = [&kube::NEEDS[..], &kube::NODE_NEEDS, &NEEDS].concat();
    install::debian(cx, &packages)?;
    let kubernetes = kube::programs::all(cx)?;
    let set = Set::make(cx)?;
    let interrupt = Interrupt::listen()?;
    let cluster = Cluster::with_node(cx, kubernetes)?;
    let outcome = tests(cx, args, &set, &cluster, &interrupt);
    let good = matches!(&outcome, Ok(outcome) if !outcome.is_failure());
    if !good && !interrupt.came() {
        cluster.show_logs(&LOGS);
    }
    cluster.down()?;
    if interrupt.came() {
        bail!("interrupted; the cluster is removed");
    }
    let outcome = outcome?;
    if args.measure {
        return Ok(());
    }
    tier::summary(&[(CLUSTER.name, outcome)], &args.filter)
}

/// What is brought into the cluster.
struct Set {
    helm: Helm,
    agent: PathBuf,
    built: Built,
    clients: Clients,
    standins: programs::Built,
}

impl Set {
    fn make(cx: &Cx) -> Result<Self> {
        let helm = Helm::ensure(cx)?;
        let agent = images::archive(cx)?;
        let built = build::all(cx, Profile::Dev)?;
        let standins = programs::around(built.agent.clone(), cx, Profile::Dev, &["bpf2iam-e2e"])?;
        let clients = Clients::ensure(cx, &built)?;
        Ok(Self {
            helm,
            agent,
            built,
            clients,
            standins,
        })
    }
}

/// Runs them. When a signal comes they lose the cluster, and end by that.
fn tests(
    cx: &Cx,
    args: &Args,
    set: &Set,
    cluster: &Cluster,
    interrupt: &Interrupt,
) -> Result<Outcome> {
    let mut environment = cluster.environment()?;
    interrupt.during(
        || -> Result<Outcome> {
            say::step("load the images");
            images::load(cluster, &set.agent)?;
            set.clients.load(cluster, &set.standins)?;
            let _outside = outside::start(cluster, &set.standins)?;
            environment.push(set.helm.variable());
            if args.measure {
                return measure(set, &environment);
            }
            Ok(CLUSTER.run_in(cx, &args.filter, Some(&set.built), &environment))
        },
        || cluster.abandon(),
    )
}

/// Prints figures.
fn measure(set: &Set, environment: &[(String, String)]) -> Result<Outcome> {
    say::step("measure");
    let mut program = Command::new(set.standins.program("measure-cluster"));
    exec::run(program.envs(environment.iter().cloned()))?;
    Ok(Outcome::Skipped("measured instead"))
}
