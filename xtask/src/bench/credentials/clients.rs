//! A client in each of many pods. All of them begin at the same moment, as containers whose processes are there already.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bpf2iam_support::{
    Pod,
    client::{Sequence, Sequences, reported},
    moment::Moment,
    process::Process,
    stage::Stage,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::bench::figure::Series;

/// How long a client may take to start, and to report.
const PATIENCE: Duration = Duration::from_secs(30);
/// Files of ours for each client, and then some.
const FILES: u64 = 8;

/// The clients, in the order of their pods.
#[derive(Debug)]
pub(super) struct Clients(Vec<Process>);

impl Clients {
    /// Starts them.
    pub(super) fn start(stage: &Stage, pods: &[Pod]) -> Result<Self> {
        let room = u64::try_from(pods.len())? * FILES;
        let start = |pod: &Pod| stage.client().start(&pod.place(), &["sequence"]);
        let clients: Result<Vec<_>> = with_files(room)
            .and_then(|()| pods.iter().map(start).collect())
            .context("a client in each pod");
        let clients = clients?;
        for client in &clients {
            client.wait_for_line(|line| line == "waiting", PATIENCE)?;
        }
        Ok(Self(clients))
    }

    /// Lets all of them ask at `moment`.
    pub(super) fn ask_at(&mut self, moment: Moment) -> Result<()> {
        let line = moment.to_string();
        self.0
            .iter_mut()
            .try_for_each(|client| client.send_line(&line))
    }

    /// What came of each, moment by moment.
    pub(super) fn reports(mut self) -> Result<Vec<Vec<Sequence>>> {
        self.0.iter_mut().for_each(Process::close_input);
        let report = |client: &Process| {
            let all: Sequences = reported(client, PATIENCE)?;
            Ok(all.sequences)
        };
        self.0.iter().map(report).collect()
    }
}

/// Lets this process have so many files open.
fn with_files(wanted: u64) -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    ensure!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "this process may not have {wanted} files open: ulimit -n"
    );
    let more = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, more).with_context(|| format!("{wanted} files"))
}

/// How long the clients had to wait from the moment at which they were to begin, in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Waits {
    pub(super) all: Series,
    /// What went wrong, and how often.
    wrong: BTreeMap<String, usize>,
}

impl Waits {
    /// Whoever got no keys, or others than its own, waits for ever.
    pub(super) fn of(
        sequences: &[&Sequence],
        judge: impl Fn(usize, &Sequence) -> Result<(), String>,
    ) -> Self {
        let mut wrong = BTreeMap::new();
        let waits: Vec<_> = sequences
            .iter()
            .enumerate()
            .map(|(pod, sequence)| match judge(pod, sequence) {
                Ok(()) => sequence.ended.as_secs_f64() * 1000.0,
                Err(why) => {
                    *wrong.entry(why).or_default() += 1;
                    f64::INFINITY
                }
            })
            .collect();
        Self {
            all: Series::new(waits),
            wrong,
        }
    }
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { all, wrong } = self;
        let (p50, p99, max) = (all.median(), all.p99(), all.max());
        write!(f, "p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms")?;
        for (why, times) in wrong {
            write!(f, ", {times} x {why}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gets_no_keys_waits_for_ever_and_is_told_of() {
        let sequence = |milliseconds| Sequence {
            ended: Duration::from_millis(milliseconds),
            ..Sequence::default()
        };
        let sequences = [sequence(10), sequence(20), sequence(30)];
        let judge = |pod, _: &Sequence| match pod {
            2 => Err("role list: 503".to_owned()),
            _ => Ok(()),
        };
        let waits = Waits::of(&sequences.each_ref(), judge);
        assert!(waits.all.max().is_infinite());
        assert!((waits.all.median() - 20.0).abs() < 1e-9);
        assert!(
            waits.to_string().ends_with(", 1 x role list: 503"),
            "{waits}"
        );
    }
}
