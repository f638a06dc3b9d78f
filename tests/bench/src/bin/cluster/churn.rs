//! Pods that come, run, change their roles, end and go, at a pace.

use std::time::Duration;

use anyhow::Result;
use bpf2iam_standins::apiserver::Kind;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    cluster::{Cluster, role},
    objects::{self, Pod},
    order::{self, Place},
};

/// So many pods are somewhere on their way at a time.
const SLOTS: usize = 97;

/// The first of these pods has this number.
const FIRST: usize = 1_000_000;

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Churned {
    /// How many events the agent of these pods' node should have got.
    events: u64,
    seconds: f64,
}

/// A place for one pod after the other.
#[derive(Debug)]
enum Slot {
    Free,
    Bound(Pod, usize),
    Running(Pod, usize),
    Changed(Pod),
    Terminating(Pod),
}

/// Makes events at the wanted rate, evenly. What is on its way at the end stays so.
pub(crate) async fn run(cluster: &Cluster, order: &order::Churn) -> Result<Churned> {
    let mut slots: Vec<_> = (0..SLOTS).map(|_| Slot::Free).collect();
    // Pods of an earlier time may still be there.
    let mut next = FIRST + usize::try_from(cluster.api().version().to_string().parse::<u64>()?)?;
    let wanted = u64::from(order.rate) * u64::from(order.seconds);
    let start = Instant::now();
    let mut ticks = interval(Duration::from_secs(1) / order.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..wanted {
        ticks.tick().await;
        let slot = &mut slots[usize::try_from(number)? % SLOTS];
        let before = std::mem::replace(slot, Slot::Free);
        *slot = before.step(cluster, order.place, &mut next)?;
    }
    Ok(Churned {
        events: wanted,
        seconds: start.elapsed().as_secs_f64(),
    })
}

impl Slot {
    /// Lets its pod make one step: one event.
    fn step(self, cluster: &Cluster, place: Place, next: &mut usize) -> Result<Self> {
        let api = cluster.api();
        let put = |pod: &Pod| api.put(objects::pod(pod));
        Ok(match self {
            Self::Free => {
                *next += 1;
                let pod = cluster.passing(*next, place);
                put(&pod)?;
                Self::Bound(pod, *next)
            }
            Self::Bound(pod, number) => {
                let pod = pod.running(number);
                put(&pod)?;
                Self::Running(pod, number)
            }
            Self::Running(pod, number) => {
                let pod = pod.role(&role(number + 1));
                put(&pod)?;
                Self::Changed(pod)
            }
            Self::Changed(pod) => {
                let pod = pod.terminating();
                put(&pod)?;
                Self::Terminating(pod)
            }
            Self::Terminating(pod) => {
                api.delete(Kind::Pod, pod.namespace(), pod.name())?;
                Self::Free
            }
        })
    }
}
