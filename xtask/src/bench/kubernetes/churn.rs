//! Pods of the node that come and go by the thousand, while one asks for its credentials and another for its role.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{Pod, stage::Stage};
use serde::Deserialize;
use serde_json::json;

use crate::{
    bench::{
        Args,
        agent::Agent,
        cluster::{Cluster, Order},
        figure::{Figure, Series, Wanted},
        load::{Ask, Load, METADATA, Pace, Turn, microseconds},
        memory::Memory,
    },
    say,
};

use super::{ROLE, lag, settle};

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
        let (load, _) = Load::new(stage, pod, ROLE, (Ask::Credentials, Pace::full(args)))?;
        Ok(Self { stage, load, args })
    }

    /// Lets pods come and go: once while a role is looked for, once while credentials are asked for.
    pub(super) fn measure(
        &mut self,
        agent: &mut Agent,
        cluster: &mut Cluster,
        lag: &mut lag::Bench<'_>,
    ) -> Result<[Figure; 5]> {
        let before = self.events()?;
        let order = self.begin(cluster, Place::Here, lag.length())?;
        let (lag, probed) = lag.measure(cluster, "a role known: while pods come and go, worst")?;
        let first = Self::end(cluster, order, self.args.kubernetes.minute())?;
        let ([by_quiet, by_others], second) = self.tail(cluster)?;
        settle();
        let told = self.events()? - before;
        say::note(format!(
            "after that, the agent: {}",
            Memory::of(agent.pid())?
        ));
        let said = first.events + second.events + probed;
        Ok([
            lag,
            by_quiet,
            by_others,
            Figure {
                name: "events of pods that were missed",
                // More were told where all pods were listed once more.
                value: number(said.saturating_sub(told)),
                unit: "",
                wanted: Wanted::AtMost(0.0),
                detail: format!(
                    "of {said}, {told} told, {:.0} a second",
                    number(second.events) / second.seconds
                ),
            },
            differences(agent, cluster)?,
        ])
    }

    /// How long a pod waits for its credentials at most, nearly always. The API server is on this machine too, which
    /// no node has: so the agent is also held against as many events that it does not get.
    fn tail(&self, cluster: &mut Cluster) -> Result<([Figure; 2], Churned)> {
        let minute = self.args.kubernetes.minute();
        say::step(format!(
            "warm credentials: turns of {} s, for {minute:?} each while nothing happens, pods of another node come and \
             go, and pods of this one do",
            self.args.seconds
        ));
        self.load.turn(METADATA, self.args)?; // warms up
        let half = minute / 2;
        let mut quiet = self.turns("quiet", half)?;
        let mut elsewhere = self.churned(cluster, Place::Elsewhere, half)?.0;
        let (here, churned) = self.churned(cluster, Place::Here, minute)?;
        elsewhere.extend(self.churned(cluster, Place::Elsewhere, half)?.0);
        quiet.extend(self.turns("quiet", half)?);
        let here = Tail::of(&here);
        let figures = [
            here.against(
                "credentials: p99 while pods come and go, by that of a quiet cluster",
                &Tail::of(&quiet),
            ),
            here.against(
                "credentials: p99 while pods come and go, by that while others do",
                &Tail::of(&elsewhere),
            ),
        ];
        Ok((figures, churned))
    }

    /// Turns while pods come and go.
    fn churned(
        &self,
        cluster: &mut Cluster,
        place: Place,
        length: Duration,
    ) -> Result<(Vec<Turn>, Churned)> {
        let order = self.begin(cluster, place, length)?;
        let turns = self.turns(place.what(), length)?;
        let churned = Self::end(cluster, order, length)?;
        settle();
        Ok((turns, churned))
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

    fn begin(&self, cluster: &mut Cluster, place: Place, length: Duration) -> Result<Order> {
        let (rate, seconds) = (self.args.kubernetes.churn, length.as_secs());
        let place = place.word();
        cluster.begin(&json!({"churn": {"place": place, "rate": rate, "seconds": seconds}}))
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

/// Whose pods come and go.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// The node's.
    Here,
    /// Those of a node without an agent.
    Elsewhere,
}

impl Place {
    /// As the cluster is told.
    const fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Elsewhere => "elsewhere",
        }
    }

    const fn what(self) -> &'static str {
        match self {
            Self::Here => "while pods come and go",
            Self::Elsewhere => "while pods of another node come and go",
        }
    }
}

/// The slowest of the answers in some turns, and how many there were.
#[derive(Debug)]
struct Tail {
    p99: Series,
    rate: Series,
}

impl Tail {
    fn of(turns: &[Turn]) -> Self {
        Self {
            p99: Series::new(turns.iter().map(|turn| microseconds(turn.answer.p99))),
            rate: Series::new(turns.iter().map(|turn| turn.rate)),
        }
    }

    fn against(&self, name: &'static str, other: &Self) -> Figure {
        Figure {
            name,
            value: self.p99.median() / other.p99.median(),
            unit: " x",
            wanted: Wanted::AtMost(1.5),
            detail: format!("{self}; the other {other}"),
        }
    }
}

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { p99, rate } = self;
        write!(
            f,
            "{:.0} us ({}) at {:.0}/s",
            p99.median(),
            p99.range(),
            rate.median()
        )
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
    let (known, wanted): (BTreeMap<_, _>, _) = (known.collect(), cluster.roles()?);
    ensure!(!wanted.is_empty(), "the cluster has no pods");
    let different = unlike(&known, &wanted).max(unlike(&wanted, &known));
    Ok(Figure {
        name: "pods of which the agent knows something else in the end",
        value: number(u64::try_from(different)?),
        unit: "",
        wanted: Wanted::AtMost(0.0),
        detail: format!("of {}", wanted.len()),
    })
}

/// How many of `one` are not so in `other`.
fn unlike(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> usize {
    one.iter()
        .filter(|(uid, role)| other.get(*uid) != Some(*role))
        .count()
}

fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
