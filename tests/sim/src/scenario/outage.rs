//! In the middle of steady life STS is gone for almost half an hour.

use std::time::Duration;

use anyhow::Result;
use bpf2iam::creds::pace::Moment;

use crate::{
    Setting,
    cluster::Cluster,
    rates::mean,
    report::{Goal, Report, Wanted},
    sts::Outage,
};

use super::LOOK;

/// When it begins, ...
const BEGINS: Moment = Duration::from_mins(45);
/// ... and how long it lasts.
const LASTS: Duration = Duration::from_mins(29);
/// It is looked at for so long after its end.
const AFTER: Duration = Duration::from_mins(45);

/// The outage, and what comes after it.
pub(crate) fn outage(setting: &Setting, how: Outage) -> Result<Report> {
    let flow = setting.steady_flow();
    let mut cluster = Cluster::settled(setting.size(), flow, setting.sts(), setting.seed)?;
    let (back, end) = (BEGINS + LASTS, BEGINS + LASTS + AFTER);
    cluster.sts.gone(BEGINS..back, how);
    cluster.run_until(back);
    let troubled = cluster.troubled();
    let mut calm = back;
    while cluster.troubled() > 0 && calm < end {
        calm += LOOK;
        cluster.run_until(calm);
    }
    cluster.run_until(end);
    cluster.close();
    let mut report = told(&cluster, how, calm.saturating_sub(back), troubled);
    report.goal(Goal {
        name: "keys of running pods that ended before there were others",
        value: cluster.tally.ended.into(),
        unit: "",
        wanted: Wanted::AtMost(0.0),
    });
    Ok(report)
}

fn told(cluster: &Cluster, how: Outage, calm: Duration, troubled: usize) -> Report {
    let (tally, sts) = (&cluster.tally, &cluster.sts);
    let how = match how {
        Outage::Silent => "does not answer",
        Outage::Refused => "refuses connections",
    };
    let minutes = LASTS.as_secs() / 60;
    let mut report = Report::new(format!("outage: STS {how} for {minutes} minutes"));
    let (back, end) = (BEGINS + LASTS, BEGINS + LASTS + AFTER);
    let during = BEGINS..back;
    report.line(format!(
        "while it lasts: {:.0} calls a second, {} in the busiest second",
        mean(sts.calls.total(during.clone()), LASTS),
        sts.calls.peak_second(during),
    ));
    report.line(format!(
        "then: {troubled} identities need keys, all have them after {:.0} s",
        calm.as_secs_f64()
    ));
    report.line(format!(
        "{} calls until then, {} throttled; {} in the busiest second",
        sts.calls.total(back..back + calm),
        sts.throttled.total(back..end),
        sts.calls.peak_second(back..end),
    ));
    report.line(format!(
        "pods that came meanwhile, binding to keys: {}",
        tally.bound
    ));
    report.line(format!(
        "the least that keys had left when others came: {:.1} min",
        tally.least_left.as_secs_f64() / 60.0
    ));
    report
}
