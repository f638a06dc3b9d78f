//! All agents restart within the same second, and new pods come meanwhile.

use std::time::Duration;

use anyhow::Result;
use bpf2iam::imds::service::PATIENCE;

use crate::{
    Setting,
    cluster::{Cluster, Size},
    report::{Goal, Report, Wanted},
    waits::Waits,
};

use super::{LOOK, STORM};

/// It is looked at for no longer than this.
const LONGEST: Duration = Duration::from_hours(1);
/// A new pod's keys should be there within this time, all but one of a hundred.
const SOON: f64 = 1.0;

/// How large the cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As large as there are goals for.
    Goal,
    /// Twice as large. Nothing is wanted of it.
    Twice,
}

/// The storm, until all is warm. The cluster goes on from there.
pub(crate) fn storm(setting: &Setting, scale: Scale) -> Result<(Cluster, Report)> {
    let mut size = setting.size();
    if scale == Scale::Twice {
        size.nodes *= 2;
    }
    let mut cluster = Cluster::restarted(size, setting.flow(), setting.sts(), setting.seed)?;
    let mut end = STORM;
    cluster.run_until(end);
    while cluster.tally.warm.is_none() && end < LONGEST {
        end += LOOK;
        cluster.run_until(end);
    }
    cluster.close();
    let mut report = told(setting, size, &cluster, end);
    if scale == Scale::Goal {
        report.goal(Goal {
            name: "a new pod in the storm waits for keys, p99",
            value: cluster.tally.bound.all_but(100).as_secs_f64(),
            unit: " s",
            wanted: Wanted::AtMost(SOON),
        });
    }
    Ok((cluster, report))
}

fn told(setting: &Setting, size: Size, cluster: &Cluster, end: Duration) -> Report {
    let (tally, sts) = (&cluster.tally, &cluster.sts);
    let mut report = Report::new(format!(
        "storm: the agents of {} nodes restart within one second, {} new pods come in a second",
        size.nodes, setting.new_pods_per_second
    ));
    let best = f64::from(size.identities()) / f64::from(setting.sts_rate);
    let warm = tally.warm.map_or_else(
        || format!("{} are not warm after {end:?}", tally.cold),
        |warm| format!("all are warm after {:.0} s", warm.as_secs_f64()),
    );
    report.line(format!("{warm}; at STS's rate it could be {best:.0} s"));
    let all = Duration::ZERO..end;
    report.line(format!(
        "{} calls, {} of them throttled; {} in the busiest second, {:.0} a second in the busiest minute",
        sts.calls.total(all.clone()),
        sts.throttled.total(all.clone()),
        sts.calls.peak_second(all.clone()),
        sts.calls.peak_minute(all),
    ));
    report.line(format!("new pods, binding to keys: {}", tally.bound));
    report.line(format!("new pods, {}", requests(&tally.asked_by_new)));
    report.line(format!(
        "running pods, {}",
        requests(&tally.asked_by_running)
    ));
    report
}

fn requests(waits: &Waits) -> String {
    let late = waits.longer_than(PATIENCE);
    format!("first request to answer: {waits}; {late} were told to come again")
}
