//! When a successor may take over from an agent that serves: when it can do what that one does, and not before.
//!
//! The one before us has all pods and their keys in memory. So the node must be known by its name, and all pods, and all that decides about them,
//! however long that takes. Keys are waited for as long as STS has said nothing about any role: then the fault is STS's or
//! ours, and pods would only lose what they have. Where it has given some, the roles of some pods may be wrong, and their
//! keys are not waited for for ever; a little longer where it refuses all.

use std::{future, time::Duration};

use tokio::time::{self, Instant};

use crate::kubernetes::node::KNOWN;

use super::{
    pods::LISTED,
    report::{AtHand, Report},
};

/// How long keys are waited for where there are others.
const WARM: Duration = Duration::from_secs(10);
/// How long where STS refuses all roles: it may be that the node has none that is right, or that we ask for the wrong ones.
const REFUSED: Duration = Duration::from_mins(1);
/// How often it is said that we still wait.
const REMINDER: Duration = Duration::from_mins(1);
/// How often it is looked whether there are keys.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until we may take over.
pub(super) async fn prepared(report: &Report) {
    reminding("the list of pods", all_pods(report)).await;
    reminding(KNOWN, report.readiness.done(KNOWN)).await;
    let begun = Instant::now();
    reminding("keys for any pod", keys(report, begun)).await;
    if report.keys_at_hand() != AtHand::All {
        tracing::warn!(
            "taking over without the keys of some pods: they did not come within {:?}",
            begun.elapsed()
        );
    }
}

async fn all_pods(report: &Report) {
    report.readiness.done(LISTED).await;
    let mut snapshots = report.pods.watch();
    if snapshots.wait_for(|now| now.complete()).await.is_err() {
        // Who writes it has died, and the agent is about to.
        future::pending::<()>().await;
    }
}

async fn keys(report: &Report, begun: Instant) {
    loop {
        if begun.elapsed() >= patience(report.keys_at_hand()) {
            return;
        }
        time::sleep(LOOK).await;
    }
}

/// For how long others are waited for.
const fn patience(keys: AtHand) -> Duration {
    match keys {
        AtHand::All => Duration::ZERO,
        AtHand::Some => WARM,
        AtHand::Refusals => REFUSED,
        AtHand::None => Duration::MAX,
    }
}

/// Says now and then what is waited for.
async fn reminding(what: &'static str, wait: impl Future<Output = ()>) {
    let mut wait = std::pin::pin!(wait);
    let mut reminders = time::interval_at(Instant::now() + WARM, REMINDER);
    loop {
        tokio::select! {
            () = &mut wait => return,
            _ = reminders.tick() => tracing::warn!(
                what,
                "not taking over yet: the agent before us goes on serving until we have what it has"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_there_is_the_longer_it_is_waited() {
        let all = [AtHand::All, AtHand::Some, AtHand::Refusals, AtHand::None];
        let waits = all.map(patience);
        assert!(waits.is_sorted_by(|one, other| one < other), "{waits:?}");
        assert_eq!((waits[0], waits[3]), (Duration::ZERO, Duration::MAX));
    }
}
