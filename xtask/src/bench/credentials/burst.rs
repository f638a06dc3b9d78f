//! As many pods as a node takes, bound to it at once: how often STS is called, and how long each pod's first client waits.
//!
//! Each pod has its own cgroup and its own network, and its client asks as an SDK does, through the programs. The agent
//! is new to the node: it has no connection to STS yet, and no keys of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{
    Pod,
    client::Sequence,
    moment::Moment,
    pod::Spec,
    stage::{BASE_ARN, Stage},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    bench::{
        agent::Agent,
        cluster::{self, Cluster},
        figure::{Figure, Wanted},
    },
    say,
};

use super::clients::{Clients, Waits};

/// Pods of a node: what EKS allows at most.
const PODS: u32 = 250;
/// What STS takes for an answer.
const LATENCY: &str = "80ms";
/// So long after a pod is bound its container starts.
const HEAD_START: Duration = Duration::from_secs(1);
/// So long before pods are bound everybody is told.
const LEAD: Duration = Duration::from_millis(500);
/// By then, whoever asked has his answer.
const SETTLE: Duration = Duration::from_secs(3);
/// How long the cluster may take to say what it did.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster without pods.
const EMPTY: [&str; 8] = [
    "--pods",
    "0",
    "--node-pods",
    "0",
    "--namespaces",
    "1",
    "--service-accounts",
    "0",
];

/// Whose keys the pods need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roles {
    /// Each has its own role.
    Own,
    /// All of them have the same session of the same role.
    Shared,
}

impl Roles {
    fn of(self, pod: usize) -> String {
        match self {
            Self::Own => format!("burst-{pod}"),
            Self::Shared => "burst".to_owned(),
        }
    }

    /// What the agent is told.
    const fn args(self) -> &'static [&'static str] {
        match self {
            Self::Own => &[],
            Self::Shared => &["--session-name", "{node}"],
        }
    }
}

/// What a burst came to.
#[derive(Debug)]
struct Burst {
    /// Of STS.
    calls: u32,
    /// From the binding until all keys were there, in milliseconds.
    held: f64,
    first: Waits,
    /// The same pods, somewhat later.
    warm: Waits,
}

/// What the cluster says of it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Bound {
    at: Moment,
    time: Timestamp,
    until: Moment,
}

/// Makes the pods, and binds them again and again, each time to a new agent.
pub(in crate::bench) fn measure(stage: &Stage, cluster: &Path) -> Result<Vec<Figure>> {
    say::step(format!(
        "a burst: {PODS} pods bound at once, STS takes {LATENCY}"
    ));
    let specs = (0..PODS).map(|number| Spec::new("team-0", format!("burst-{number}")));
    let stand = Stand {
        stage,
        cluster,
        pods: stage.node().add_pods(specs)?,
    };
    stage.set_sts_rules(&json!([{"do": {"latency": LATENCY}}]))?;
    let own = stand.burst(Roles::Own, HEAD_START)?;
    let shared = stand.burst(Roles::Shared, HEAD_START)?;
    let at_once = stand.burst(Roles::Own, Duration::ZERO)?;
    stage.set_sts_rules(&json!([]))?;
    Ok(figures(&own, &shared, &at_once).into())
}

fn figures(own: &Burst, shared: &Burst, at_once: &Burst) -> [Figure; 7] {
    let soon = Wanted::AtMost(500.0);
    [
        own.calls("250 pods, a role each: calls of STS", PODS),
        own.until_held("250 pods, a role each: from the binding until all keys are there"),
        own.first("250 pods, a role each: the slowest first sequence", soon),
        own.by_warm("250 pods, a role each: first sequences by warm ones, median"),
        shared.calls("250 pods, one identity: calls of STS", 1),
        shared.first("250 pods, one identity: the slowest first sequence", soon),
        at_once.first(
            "250 pods, a role each: the slowest where containers start at the binding",
            Wanted::Nothing,
        ),
    ]
}

impl Burst {
    fn calls(&self, name: &'static str, wanted: u32) -> Figure {
        Figure {
            name,
            value: self.calls.into(),
            unit: "",
            wanted: Wanted::Exactly(wanted.into()),
            detail: format!("all keys are there after {:.0} ms", self.held),
        }
    }

    /// They should be there when the first container starts.
    fn until_held(&self, name: &'static str) -> Figure {
        Figure {
            name,
            value: self.held,
            unit: " ms",
            wanted: Wanted::AtMost(HEAD_START.as_secs_f64() * 1000.0),
            detail: format!("STS takes {LATENCY} for each"),
        }
    }

    fn first(&self, name: &'static str, wanted: Wanted) -> Figure {
        Figure {
            name,
            value: self.first.all.max(),
            unit: " ms",
            wanted,
            detail: format!("{}; warm {}", self.first, self.warm),
        }
    }

    /// What the newness of pods, agent and keys costs, beside the crowd.
    fn by_warm(&self, name: &'static str) -> Figure {
        Figure {
            name,
            value: self.first.all.median() / self.warm.all.median(),
            unit: " x",
            wanted: Wanted::Nothing,
            detail: "all pods ask at the same moment both times".to_owned(),
        }
    }
}

/// What is there for all bursts.
struct Stand<'a> {
    stage: &'a Stage,
    cluster: &'a Path,
    pods: Vec<Pod>,
}

impl Stand<'_> {
    /// Binds all pods to a new agent. Their containers start after `head_start`.
    fn burst(&self, roles: Roles, head_start: Duration) -> Result<Burst> {
        let mut cluster = Cluster::start(self.stage, self.cluster, &EMPTY)?;
        let api = ["--pods", "kube", "--api-server", cluster::URL];
        let agent = Agent::start(self.stage, &[&api, roles.args()].concat())?;
        let mut clients = Clients::start(self.stage, &self.pods)?;
        let before = self.calls()?;
        let at = Moment::now().plus(LEAD);
        let order = cluster.begin(&self.order(roles, at))?;
        clients.ask_at(at.plus(head_start))?;
        let warm = at.plus(head_start + SETTLE);
        clients.ask_at(warm)?;
        warm.plus(SETTLE).wait();
        let bound: Bound = serde_json::from_value(cluster.end(order, PATIENCE)?)?;
        let reports = clients.reports()?;
        let burst = Burst {
            calls: self.calls()? - before,
            held: self.held(&agent, roles, bound.time)?,
            first: self.waits(roles, &reports, 0)?,
            warm: self.waits(roles, &reports, 1)?,
        };
        agent.stop()?;
        say::note(format!(
            "{roles:?} roles, containers start after {head_start:?}: bound {:.0} ms late within {:.0} ms, {burst}",
            bound.at.since(at).as_secs_f64() * 1000.0,
            bound.until.since(bound.at).as_secs_f64() * 1000.0,
        ));
        Ok(burst)
    }

    fn order(&self, roles: Roles, at: Moment) -> Value {
        let pods = self.pods.iter().enumerate();
        let pods: Vec<_> = pods
            .map(|(number, pod)| {
                json!({"name": pod.spec().name, "uid": pod.uid(), "role": roles.of(number)})
            })
            .collect();
        json!({"bind": {"at": at, "pods": pods}})
    }

    /// How often STS was called so far.
    fn calls(&self) -> Result<u32> {
        let counts = self.stage.ask_sts("/counts")?;
        let counts = counts.as_array().context("STS counts nothing")?;
        let calls = counts.iter().filter_map(|count| count["calls"].as_u64());
        Ok(u32::try_from(calls.sum::<u64>())?)
    }

    /// When the agent had the last of the keys, in milliseconds after `bound`; never, if it lacks some.
    fn held(&self, agent: &Agent, roles: Roles, bound: Timestamp) -> Result<f64> {
        let wanted: BTreeSet<_> = (0..self.pods.len()).map(|pod| roles.of(pod)).collect();
        let obtained = agent.all_logged("credentials obtained")?;
        if obtained.len() < wanted.len() {
            return Ok(f64::INFINITY);
        }
        let time = |record: &Value| -> Result<Timestamp> {
            let time = record["timestamp"]
                .as_str()
                .context("a record without time")?;
            Ok(time.parse()?)
        };
        let times: Result<Vec<_>> = obtained.iter().map(time).collect();
        let last = times?.into_iter().max().context("no keys")?;
        Ok(last.duration_since(bound).as_secs_f64() * 1000.0)
    }

    /// How long pods waited in round `number`. The keys have to be those of their own role.
    fn waits(&self, roles: Roles, reports: &[Vec<Sequence>], number: usize) -> Result<Waits> {
        let issued = self.stage.ask_sts("/issued")?;
        let issued: Vec<Issued> = serde_json::from_value(issued)?;
        let issued: BTreeMap<_, _> = issued
            .into_iter()
            .map(|one| (one.access_key_id, one.role))
            .collect();
        let round: Option<Vec<_>> = reports.iter().map(|all| all.get(number)).collect();
        let round = round.context("a client did not ask")?;
        ensure!(round.len() == self.pods.len(), "some clients are missing");
        Ok(Waits::of(&round, |pod, sequence| {
            if let Some(why) = &sequence.failed {
                return Err(why.clone());
            }
            let key = sequence.access_key_id.as_deref().unwrap_or_default();
            let role = format!("{BASE_ARN}{}", roles.of(pod));
            let own = issued.get(key) == Some(&role);
            own.then_some(())
                .ok_or_else(|| "keys of another role".to_owned())
        }))
    }
}

/// What STS says of keys that it gave out.
#[derive(Debug, Deserialize)]
struct Issued {
    access_key_id: String,
    role: String,
}

impl std::fmt::Display for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            calls,
            held,
            first,
            warm,
        } = self;
        write!(
            f,
            "{calls} calls of STS, all keys there after {held:.0} ms; first {first}; warm {warm}"
        )
    }
}
