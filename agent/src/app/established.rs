//! Has the pods' connections cut that are older than what is attached, and says what came of it.

use std::{path::PathBuf, thread};

use crate::{
    cgroup,
    chain::chain,
    established::{self, Error, Outcome},
    id::CgroupId,
};

/// What is said when not everything could be looked at.
const LEFT: &str = "connections that are older than the agent may be left; they get no answer, and end by their clients' timeouts";

/// Does so on a thread of its own, and nobody waits for it: what is not cut yet gets no answer either.
pub(super) fn cut(netns_dir: PathBuf, pods: cgroup::Tree, spared: Vec<CgroupId>) {
    let work = move || say(&established::cut(&netns_dir, &pods, &spared));
    let thread = thread::Builder::new().name("established".to_owned());
    if let Err(error) = thread.spawn(work) {
        tracing::warn!(%error, "cannot look for connections that are older than the agent");
    }
}

fn say(outcome: &Outcome) {
    let Outcome {
        namespaces,
        cut,
        errors,
    } = outcome;
    if *cut > 0 {
        tracing::info!(
            count = cut,
            "cut connections to the real metadata service that were older than the agent"
        );
    }
    say_what_was_left(errors);
    tracing::debug!(
        namespaces,
        cut,
        "looked for connections that are older than the agent"
    );
}

/// One line for all of it.
fn say_what_was_left(errors: &[Error]) {
    let fault = errors.iter().find(|error| !error.is_expected());
    let Some(error) = fault.or(errors.first()) else {
        return;
    };
    let (count, error) = (errors.len(), chain(error));
    if fault.is_some() {
        tracing::warn!(count, "{LEFT}: {error}");
    } else {
        tracing::info!(count, "{LEFT}: {error}");
    }
}
