//! How soon a role is known: from the moment at which the API server is told of a pod, or of another role for it, until
//! the pod's own list of roles says so.

use std::{thread, time::Duration};

use anyhow::Result;
use bpf2iam_support::{
    Pod,
    client::{Change, Tally, reported},
    manifest,
    stage::Stage,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    bench::{
        cluster::Cluster,
        figure::{Figure, Series, Wanted},
    },
    say,
};

/// Before the first step: the pod's first question is answered by then.
const LEAD: Duration = Duration::from_millis(200);
/// How long it takes the pod to come, change and go, or somewhat longer.
const ROUND: Duration = Duration::from_millis(340);
/// How much later than it should the report may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who looks, and how often.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    stage: &'a Stage,
    pod: &'a Pod,
    times: u32,
}

/// What the API server said, and what the pod is to be told from then on.
#[derive(Clone, Debug, Deserialize)]
struct Step {
    at: u64,
    what: What,
    answer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Bound,
    Changed,
    Deleted,
}

impl<'a> Bench<'a> {
    pub(super) const fn new(stage: &'a Stage, pod: &'a Pod, times: u32) -> Self {
        Self { stage, pod, times }
    }

    /// How long it takes.
    pub(super) fn length(&self) -> Duration {
        LEAD + ROUND * self.times + Duration::from_secs(1)
    }

    /// Measures, and says how many changes there were at the API server.
    pub(super) fn measure(
        &mut self,
        cluster: &mut Cluster,
        name: &'static str,
    ) -> Result<(Figure, u64)> {
        let seconds = self.length().as_secs();
        say::step(format!("{name}: a pod comes and goes for {seconds} s"));
        let client = self.stage.client();
        let args = ["follow", "--seconds", &seconds.to_string()];
        let client = client.start(&self.pod.place(), &args)?;
        thread::sleep(LEAD);
        let order = json!({"probe": {"pod": manifest::of(self.pod), "times": self.times}});
        let order = cluster.begin(&order)?;
        let tally: Tally = reported(&client, self.length() + PATIENCE)?;
        let steps: Vec<Step> = serde_json::from_value(cluster.end(order, PATIENCE)?)?;
        let lags = lags(&steps, &tally.changes);
        let of = |what| Series::new(lags.iter().filter(|lag| lag.0 == what).map(|lag| lag.1));
        let (bound, changed, deleted) = (of(What::Bound), of(What::Changed), of(What::Deleted));
        let figure = Figure {
            name,
            // What was not seen was not seen in time.
            value: bound.max().max(changed.max()),
            unit: " ms",
            wanted: Wanted::AtMost(50.0),
            detail: format!(
                "bound {:.2} ({}), changed {:.2} ({}), deleted {:.2} ({}), {} each",
                bound.median(),
                bound.range(),
                changed.median(),
                changed.range(),
                deleted.median(),
                deleted.range(),
                self.times
            ),
        };
        say::note(figure.to_string());
        Ok((figure, u64::try_from(steps.len())?))
    }
}

/// How long each step took to be seen, in milliseconds; for ever, if it was not seen before the next one.
fn lags(steps: &[Step], changes: &[Change]) -> Vec<(What, f64)> {
    let next = steps.iter().skip(1).map(|step| step.at).chain([u64::MAX]);
    let each = steps.iter().zip(next).map(|(step, next)| {
        let mut seen = changes
            .iter()
            .filter(|change| (step.at..next).contains(&change.at));
        let seen = seen.find(|change| change.answer == step.answer);
        let lag = seen.map_or(f64::INFINITY, |seen| {
            Duration::from_nanos(seen.at - step.at).as_secs_f64() * 1000.0
        });
        (step.what, lag)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_counts_from_when_it_was_said_and_is_missed_if_the_next_was_faster() {
        let step = |at, answer: &str| Step {
            at,
            what: What::Bound,
            answer: answer.to_owned(),
        };
        let change = |at, answer: &str| Change {
            at,
            answer: answer.to_owned(),
        };
        let steps = [step(0, "a"), step(9_000_000, "b"), step(20_000_000, "a")];
        let changes = [
            change(2_000_000, "a"),
            change(21_000_000, "b"),
            change(25_000_000, "a"),
        ];
        let lags: Vec<_> = lags(&steps, &changes).iter().map(|lag| lag.1).collect();
        assert_eq!(lags, [2.0, f64::INFINITY, 5.0]);
    }
}
