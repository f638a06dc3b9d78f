//! A large cluster whose pods come and go, and the agent of one of its nodes: what it holds, what it asks of the API
//! server, how soon it knows a role, and whether its clients notice.

use std::{path::Path, thread, time::Duration};

use anyhow::Result;
use bpf2iam_support::{Pod, manifest, pod::Spec, stage::Stage};
use serde_json::{Value, json};

use super::{
    agent::Agent,
    cluster::{self, Cluster},
    figure::Figure,
};

mod churn;
mod lag;
mod rest;

/// How much of it.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// How long the agent is left alone, and how long pods come and go afterwards, in seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..))]
    minute: u32,
    /// How many pods come and go in a second, in events
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    churn: u32,
    /// How often the pod comes and goes whose role is looked for
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    probes: u32,
}

impl Args {
    const fn minute(&self) -> Duration {
        Duration::from_secs(self.minute as u64)
    }
}

/// Where the pods of the bench are, among others.
const NAMESPACE: &str = "team-0";
/// A role that other pods have as well.
const ROLE: &str = "team-3";
/// By then the agent has heard what was said last.
const SETTLE: Duration = Duration::from_secs(1);

/// Runs one agent in one cluster through all of it.
pub(super) fn measure(
    stage: &Stage,
    program: &Path,
    args: &super::Args,
) -> Result<impl Iterator<Item = Figure> + use<>> {
    let mut cluster = Cluster::start(stage, program, &[])?;
    let client = stage.node().add_pod(Spec::new(NAMESPACE, "client"))?;
    let probe = stage.node().add_pod(Spec::new(NAMESPACE, "probe"))?;
    let api = ["--pods", "kube", "--api-server", cluster::URL];
    // The sessions of those who come are there already: what is measured is the API, and not STS.
    let sessions = ["--session-name", "{node}"];
    let more = ["--namespace-restrictions", "--log-level", &args.log_level];
    cluster.forget_requests()?;
    let mut agent = Agent::start(stage, &[api.as_slice(), &sessions, &more].concat())?;
    cluster.put(&with_role(&client))?;
    let rest = rest::measure(&mut agent, &mut cluster, &args.kubernetes)?;
    let mut lag = lag::Bench::new(stage, &probe, args.kubernetes.probes);
    let (alone, _) = lag.measure(&mut cluster, "a role known: nothing else going on, worst")?;
    let mut churn = churn::Bench::new(stage, &client, args)?;
    let churned = churn.measure(&mut agent, &mut cluster, &mut lag)?;
    agent.stop()?;
    Ok(rest.into_iter().chain([alone]).chain(churned))
}

/// A pod that names a role, as the API server has it.
fn with_role(pod: &Pod) -> Value {
    let mut object = manifest::of(pod);
    object["metadata"]["annotations"] = json!({"iam.amazonaws.com/role": ROLE});
    object
}

/// Lets the agent hear that.
fn settle() {
    thread::sleep(SETTLE);
}
