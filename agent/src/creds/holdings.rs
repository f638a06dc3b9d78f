//! What the cache holds, as gauges. They are read off the cache at each scrape, so they cannot drift from it.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

use super::{Cache, State, Status};

/// Reads a cache.
#[derive(Debug)]
pub(super) struct Holdings(pub(super) Cache);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

impl Collector for Holdings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let states: Vec<State> = self.0.snapshot().into_iter().map(told).collect();
        encode_states(&mut encoder, &states)?;
        encode_first_expiry(&mut encoder, &states, self.0.now())?;
        encode_calls(&mut encoder, self.0.load())
    }
}

/// What was refused is still that when its memory is over: who asks makes sure, but nobody has.
fn told(status: Status) -> State {
    match (status.state, status.failure) {
        (State::Fetching, Some(failure)) => State::Failed(failure),
        (state, _) => state,
    }
}

fn encode_calls(encoder: &mut DescriptorEncoder<'_>, (waiting, calls): (u64, u64)) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "credentials_calls",
        "Calls to STS that wait for their turn, and that are under way",
        None,
        MetricType::Gauge,
    )?;
    for (state, number) in [("waiting", waiting), ("under_way", calls)] {
        let gauge = ConstGauge::new(number);
        gauge.encode(metric.encode_family(&StateLabels { state })?)?;
    }
    Ok(())
}

fn encode_states(encoder: &mut DescriptorEncoder<'_>, states: &[State]) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(
        "credentials_identities",
        "Identities that pods of this node need, by what there is for them",
        None,
        MetricType::Gauge,
    )?;
    for state in State::WORDS {
        let number = states.iter().filter(|one| one.word() == state).count();
        let gauge = ConstGauge::new(u64::try_from(number).unwrap_or(u64::MAX));
        gauge.encode(metric.encode_family(&StateLabels { state })?)?;
    }
    Ok(())
}

/// Nothing where there are no keys: a number would say that some expire.
fn encode_first_expiry(
    encoder: &mut DescriptorEncoder<'_>,
    states: &[State],
    now: Timestamp,
) -> fmt::Result {
    let Some(first) = states.iter().filter_map(State::expires).min() else {
        return Ok(());
    };
    let metric = encoder.encode_descriptor(
        "credentials_first_expiry",
        "How long until the first keys that are held end",
        Some(&Unit::Seconds),
        MetricType::Gauge,
    )?;
    ConstGauge::new(first.duration_since(now).as_secs_f64()).encode(metric)
}
