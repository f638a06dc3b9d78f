//! Pods of the node that come and go by the thousand, while one asks for its credentials and another for its role.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{Pod, stage::Stage};
use serde::Deserialize;
use serde_json::json;

use crate::{
    bench::{
        Args,
        agent::Agent,
        figure::{Figure, Series, Wanted},
        load::{Load, METADATA, Turn, microseconds},
        memory::Memory,
    },
    say,
};

use super::{
    ROLE,
    cluster::{Cluster, Order},
    lag, settle,
};

/// How much later than it should a churn may end.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the agent counts of what it is told.
const EVENTS: &str = "bpf2iam_watch_events_total{kind=\"pods\"} ";

/// Who asks.
pub(super) struct Bench<'a> {
    stage: &'a Stage,
    load: Load<'a>,
    args: &'a Args,
}

/// What a churn came to.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Churned {
    events: u64,
    seconds: f64,
}

impl<'a> Bench<'a> {
    pub(super) fn new(stage: &'a Stage, pod: &'a Pod, args: &'a Args) -> Result<Self> {
        let (load, _) = Load::new(stage, pod, ROLE)?;
        Ok(Self { stage, load, args })
    }

    /// Lets pods come and go: once while a role is looked for, once while credentials are asked for.
    pub(super) fn measure(
        &mut self,
        agent: &mut Agent,
        cluster: &mut Cluster,
        lag: &mut lag::Bench<'_>,
    ) -> Result<[Figure; 4]> {
        let before = self.events()?;
        let order = self.begin(cluster, lag.length())?;
        let (lag, probed) = lag.measure(cluster, "a role known: while pods come and go, worst")?;
        let first = Self::end(cluster, order, self.args.kubernetes.minute())?;
        let (tail, second) = self.tail(cluster)?;
        settle();
        let told = self.events()? - before;
        say::note(format!(
            "after that, the agent: {}",
            Memory::of(agent.pid())?
        ));
        let said = first.events + second.events + probed;
        Ok([
            lag,
            tail,
            Figure {
                name: "events of pods that were missed",
                value: number(said.abs_diff(told)),
                unit: "",
                wanted: Wanted::AtMost(0.0),
                detail: format!(
                    "of {said}, {:.0} a second",
                    number(second.events) / second.seconds
                ),
            },
            differences(agent, cluster)?,
        ])
    }

    /// How long a pod waits for its credentials at most, nearly always.
    fn tail(&self, cluster: &mut Cluster) -> Result<(Figure, Churned)> {
        let minute = self.args.kubernetes.minute();
        say::step(format!(
            "warm credentials: turns of {} s for {minute:?} before, while and after pods come and go",
            self.args.seconds
        ));
        self.load.turn(METADATA, self.args)?; // warms up
        let mut quiet = self.turns("quiet", minute / 2)?;
        let order = self.begin(cluster, minute)?;
        let loud = self.turns("while pods come and go", minute)?;
        let churned = Self::end(cluster, order, minute)?;
        settle();
        quiet.extend(self.turns("quiet", minute / 2)?);
        let tail =
            |turns: &[Turn]| Series::new(turns.iter().map(|turn| microseconds(turn.answer.p99)));
        let rate = |turns: &[Turn]| Series::new(turns.iter().map(|turn| turn.rate)).median();
        let (quiet, loud, rates) = (tail(&quiet), tail(&loud), (rate(&quiet), rate(&loud)));
        let figure = Figure {
            name: "credentials: p99 while pods come and go",
            value: loud.median() / quiet.median(),
            unit: " x",
            wanted: Wanted::AtMost(1.5),
            detail: format!(
                "{:.0} us ({}), quiet {:.0} us ({}); {:.0}/s, quiet {:.0}/s",
                loud.median(),
                loud.range(),
                quiet.median(),
                quiet.range(),
                rates.1,
                rates.0
            ),
        };
        Ok((figure, churned))
    }

    /// As many turns as `length` has room for.
    fn turns(&self, what: &str, length: Duration) -> Result<Vec<Turn>> {
        let turn = Duration::from_secs(self.args.seconds.into());
        let (start, mut turns) = (Instant::now(), Vec::new());
        while turns.is_empty() || start.elapsed() + turn < length {
            let turn = self.load.turn(METADATA, self.args)?;
            say::note(format!("{what}: {turn}"));
            turns.push(turn);
        }
        Ok(turns)
    }

    fn begin(&self, cluster: &mut Cluster, length: Duration) -> Result<Order> {
        let rate = self.args.kubernetes.churn;
        cluster.begin(&json!({"churn": {"rate": rate, "seconds": length.as_secs()}}))
    }

    fn end(cluster: &Cluster, order: Order, length: Duration) -> Result<Churned> {
        Ok(serde_json::from_value(
            cluster.end(order, length + PATIENCE)?,
        )?)
    }

    /// What the agent says that it was told of pods.
    fn events(&self) -> Result<u64> {
        let page = self.stage.admin("/metrics")?;
        let mut lines = page.lines();
        let found = lines.find_map(|line| line.strip_prefix(EVENTS));
        let count = found.with_context(|| format!("no {EVENTS}in the metrics"))?;
        Ok(count.parse()?)
    }
}

/// Whether the agent knows what the API server has.
fn differences(agent: &mut Agent, cluster: &mut Cluster) -> Result<Figure> {
    let status = agent.status()?;
    let pods = status["pods"].as_array().context("no pods in the status")?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let known = pods
        .iter()
        .map(|pod| (text(&pod["uid"]), text(&pod["role"])));
    let (known, wanted) = (known.collect(), cluster.roles()?);
    ensure!(!wanted.is_empty(), "the cluster has no pods");
    let both = |one: &std::collections::BTreeMap<String, String>, other: &_| {
        one.iter()
            .filter(|(uid, role)| {
                let other: &std::collections::BTreeMap<String, String> = other;
                other.get(*uid) != Some(*role)
            })
            .count()
    };
    let different = both(&known, &wanted).max(both(&wanted, &known));
    Ok(Figure {
        name: "pods of which the agent knows something else in the end",
        value: number(u64::try_from(different)?),
        unit: "",
        wanted: Wanted::AtMost(0.0),
        detail: format!("of {}", wanted.len()),
    })
}

fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
