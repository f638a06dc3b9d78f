//! The hours after a storm: pods come and go, and nothing else happens.

use std::time::Duration;

use bpf2iam::creds::schedule::ENOUGH;

use crate::{
    Setting,
    cluster::{Cluster, SESSION},
    rates::mean,
    report::{Goal, Report, Wanted},
    tally::Tally,
};

/// So many times the calls that have to be.
const MOST: f64 = 1.1;

/// Steady life, from now on.
pub(crate) fn day(setting: &Setting, cluster: &mut Cluster) -> Report {
    let whole = Duration::from_hours(setting.hours.into());
    let (start, end) = (cluster.now(), cluster.now() + whole);
    cluster.tally = Tally::new(0);
    cluster.run_until(end);
    cluster.close();
    let (tally, sts, time) = (&cluster.tally, &cluster.sts, start..end);
    let mut report = Report::new(format!(
        "{} hours of steady life after it, {} % of the pods are replaced in an hour",
        setting.hours, setting.replaced_per_hour
    ));
    let calls = mean(sts.calls.total(time.clone()), whole);
    let new = mean(tally.pods, whole);
    let least = f64::from(setting.size().identities()) / (SESSION / 2).as_secs_f64() + new;
    report.line(format!(
        "{calls:.2} calls a second, {:.0} in the busiest minute, {} in the busiest second; {} throttled in all",
        sts.calls.peak_minute(time.clone()),
        sts.calls.peak_second(time.clone()),
        sts.throttled.total(time),
    ));
    report.line(format!(
        "{least:.2} a second have to be: one for each identity at exactly half of its life, and {new:.2} for new pods"
    ));
    report.line(format!("new pods, binding to keys: {}", tally.bound));
    report.goal(Goal {
        name: "calls against those that have to be",
        value: calls / least,
        unit: "",
        wanted: Wanted::AtMost(MOST),
    });
    report.goal(Goal {
        name: "the least that keys had left when others came",
        value: tally.least_left.as_secs_f64() / 60.0,
        unit: " min",
        wanted: Wanted::AtLeast(ENOUGH.as_secs_f64() / 60.0),
    });
    report
}
